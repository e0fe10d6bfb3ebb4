import { podProxyName } from '../../ca/attestation.ts';
import { INJECT_LABEL, INJECTION_ENABLED, INJECTION_LABEL } from '@sallyport/shared/push';
import type { PortProtocol } from '@sallyport/shared/mesh';
import { API_VERSION, DERIVED_ANNOTATION, INTERCEPTION_PORTS, type ObjectMeta, type Service, type Workload } from '@sallyport/shared/resources';
import { endpointsOf, selectedPods, type Surroundings, targetPortOf, tcpPortsOf } from './endpoints.ts';
import { workloadNameOf } from './names.ts';
import { addressesOf, appPortsOf, hasSidecar, isCompleted, type KubeService, type Namespace, ownerOf, type Pod } from './objects.ts';
import { protocolOf } from './protocol.ts';

/** As many as the schemas of Workload and Service take. */
const MAX_PORTS = 64;
const MAX_ENDPOINTS = 5_000;

/** What is known of one namespace of the cluster. */
export interface NamespaceContent extends Surroundings {
  /** Null before it was seen. */
  readonly namespace: Namespace | null;
  readonly services: readonly KubeService[];
}

/**
 * Workloads and services of a namespace, made from its pods and services. Pure: equal content gives equal objects.
 *
 * A pod is a workload while it has an address and has not ended; whether it is ready bears on where calls go and not on who it
 * is. Only a pod to which the injector gave a proxy is in the mesh; any other is known by its address alone.
 */
export function deriveNamespace(content: NamespaceContent): { readonly workloads: Workload[]; readonly services: Service[] } {
  const pods = content.pods.filter((pod) => !isCompleted(pod) && addressesOf(pod).length > 0);
  const services = content.services.filter(({ spec }) => spec.type !== 'ExternalName');
  return {
    workloads: pods.map((pod) => workloadOf(pod, services, content.namespace)),
    services: services.flatMap((service) => serviceOf(service, { pods, slices: content.slices }) ?? []),
  };
}

function workloadOf(pod: Pod, services: readonly KubeService[], namespace: Namespace | null): Workload {
  const sidecar = hasSidecar(pod) && !pod.spec.hostNetwork;
  const [address = '', ...otherAddresses] = addressesOf(pod);
  const owner = ownerOf(pod);
  const annotations = {
    [DERIVED_ANNOTATION.from]: `Pod/${pod.metadata.name}`,
    ...(owner === null ? {} : { [DERIVED_ANNOTATION.owner]: owner }),
    ...(pod.spec.nodeName === undefined ? {} : { [DERIVED_ANNOTATION.node]: pod.spec.nodeName }),
    ...(sidecar ? {} : { [DERIVED_ANNOTATION.outside]: outsideBecause(pod, namespace, owner) }),
  };
  return {
    apiVersion: API_VERSION,
    kind: 'Workload',
    metadata: { ...metadataOf(pod, workloadNameOf(pod.metadata.name)), annotations },
    spec: {
      serviceAccount: pod.spec.serviceAccountName,
      address,
      ...(otherAddresses.length === 0 ? {} : { otherAddresses }),
      inbound: portsOf(pod, services),
      outbound: [],
      ...(sidecar ? { proxy: podProxyName({ pod: pod.metadata.name, namespace: pod.metadata.namespace }), interception: INTERCEPTION_PORTS } : {}),
    },
  };
}

/** What the ports of a pod speak: as services that lead to them say, and told by the first bytes for others that it declares. */
function portsOf(pod: Pod, services: readonly KubeService[]): Workload['spec']['inbound'] {
  const ports = new Map<number, PortProtocol>();
  const leading = services.filter((service) => selectedPods(service, [pod]).length > 0).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const port of leading.flatMap(tcpPortsOf)) {
    const target = targetPortOf(port, pod);
    const known = target === undefined ? undefined : ports.get(target);
    // Of two services that differ, one that says something is believed before one that does not.
    if (target !== undefined && (known === undefined || known === 'auto')) ports.set(target, protocolOf(port));
  }
  for (const { name, port } of appPortsOf(pod)) if (!ports.has(port)) ports.set(port, protocolOf({ name, appProtocol: undefined }));
  return [...ports].sort(([a], [b]) => a - b).slice(0, MAX_PORTS).map(([port, protocol]) => ({ port, protocol }));
}

function serviceOf(service: KubeService, surroundings: Surroundings): Service | null {
  const ports = tcpPortsOf(service).slice(0, MAX_PORTS);
  const endpoints = endpointsOf(service, surroundings);
  if (ports.length === 0 || endpoints === null) return null;
  const pods = selectedPods(service, surroundings.pods);
  return {
    apiVersion: API_VERSION,
    kind: 'Service',
    metadata: { ...metadataOf(service, service.metadata.name), annotations: { [DERIVED_ANNOTATION.from]: `Service/${service.metadata.name}` } },
    spec: {
      selector: service.spec.selector ?? {},
      ports: ports.map((port) => {
        const targetPort = typeof port.targetPort === 'number' ? port.targetPort : pods.map((pod) => targetPortOf(port, pod)).find((target) => target !== undefined);
        return { ...(port.name === undefined ? {} : { name: port.name }), port: port.port, protocol: protocolOf(port), ...(targetPort === undefined ? {} : { targetPort }) };
      }),
      addresses: service.spec.clusterIPs.filter((address) => address !== 'None' && address !== ''),
      endpoints: endpoints.slice(0, MAX_ENDPOINTS),
    },
  };
}

function metadataOf({ metadata }: Pod | KubeService, name: string): ObjectMeta {
  const { namespace, uid, resourceVersion, labels, creationTimestamp } = metadata;
  return { name, namespace, labels, uid, resourceVersion, generation: 1, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) };
}

function outsideBecause(pod: Pod, namespace: Namespace | null, owner: string | null): string {
  const restart = owner === null ? 'make the pod anew' : `restart it (kubectl rollout restart ${owner.toLowerCase()} -n ${pod.metadata.namespace})`;
  if (pod.spec.hostNetwork) return 'it uses the network of its node, which it shares with others; give it a network of its own';
  if (pod.metadata.labels[INJECT_LABEL] === 'false') return `its label ${INJECT_LABEL} keeps it out; remove the label and ${restart}`;
  if (namespace?.metadata.labels[INJECTION_LABEL] !== INJECTION_ENABLED) return `its namespace has no label ${INJECTION_LABEL}=${INJECTION_ENABLED}; set it and ${restart}`;
  return `it was made before its namespace took part in injection; ${restart}`;
}
