import type { Service } from '@sallyport/shared/resources';
import { addressesOf, appPortsOf, type EndpointSlice, isCompleted, type KubeService, type KubeServicePort, type Pod } from './objects.ts';
import { workloadNameOf } from './names.ts';

export type ServiceEndpoint = NonNullable<Service['spec']['endpoints']>[number];

/** What the pods of a namespace and the slices of its services say. */
export interface Surroundings {
  readonly pods: readonly Pod[];
  readonly slices: readonly EndpointSlice[];
}

/** Ports that our proxies carry. */
export function tcpPortsOf({ spec }: KubeService): KubeServicePort[] {
  return spec.ports.filter(({ protocol }) => protocol === 'TCP');
}

/** Pods that a service selects and that have an address. As in Kubernetes, a service without selector selects none. */
export function selectedPods({ spec }: KubeService, pods: readonly Pod[]): Pod[] {
  const wanted = Object.entries(spec.selector ?? {});
  if (wanted.length === 0) return [];
  return pods.filter((pod) => !isCompleted(pod) && addressesOf(pod).length > 0 && wanted.every(([key, value]) => pod.metadata.labels[key] === value));
}

/** The port of a pod at which it serves a service's port; undefined when the pod has none of that name. */
export function targetPortOf({ port, targetPort = port }: KubeServicePort, pod: Pod): number | undefined {
  return typeof targetPort === 'number' ? targetPort : appPortsOf(pod).find(({ name }) => name === targetPort)?.port;
}

/**
 * Where calls to a service go; null when some of it is no pod, so that the mesh cannot lead there and must leave the
 * service's addresses alone.
 *
 * With a selector, what Kubernetes' own controller makes of it is made here from the pods, without waiting for that: pods that are
 * ready; when none is, those that serve while they end, as kube-proxy does (KEP-1669); all of them where the service publishes
 * those that are not ready. Without one, what somebody wrote into its EndpointSlices.
 */
export function endpointsOf(service: KubeService, { pods, slices }: Surroundings): ServiceEndpoint[] | null {
  if (service.spec.selector === undefined || Object.keys(service.spec.selector).length === 0) return written(service, { pods, slices });
  const selected = selectedPods(service, pods);
  return serving(service, selected).flatMap((pod) => endpointsAt(service, pod));
}

function serving({ spec }: KubeService, pods: readonly Pod[]): readonly Pod[] {
  if (spec.publishNotReadyAddresses) return pods;
  const able = pods.filter(({ status }) => status.conditions.some(({ type, status: value }) => type === 'Ready' && value === 'True'));
  const ready = able.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return ready.length > 0 ? ready : able;
}

/** Callers of a headless service choose an address themselves, of either family. */
function endpointsAt(service: KubeService, pod: Pod): ServiceEndpoint[] {
  const ports = tcpPortsOf(service).flatMap((port) => {
    const targetPort = targetPortOf(port, pod);
    return targetPort === undefined ? [] : [{ port: port.port, targetPort }];
  });
  if (ports.length === 0) return [];
  const workload = workloadNameOf(pod.metadata.name);
  const others = isHeadless(service) ? addressesOf(pod).slice(1) : [];
  return [{ workload, ports }, ...others.map((address) => ({ workload, address, ports }))];
}

function written(service: KubeService, { pods, slices }: Surroundings): ServiceEndpoint[] | null {
  const own = slices.filter(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === service.metadata.name);
  const places = own.flatMap(({ endpoints, ports }) => (endpoints ?? []).filter(({ conditions }) => conditions.ready !== false).map((endpoint) => ({ endpoint, ports: ports ?? [] })));
  if (places.length === 0) return null;
  const found = places.map(({ endpoint, ports }): ServiceEndpoint | null => {
    const pod = pods.find((one) => !isCompleted(one) && !one.spec.hostNetwork && addressesOf(one).some((address) => endpoint.addresses.includes(address)));
    if (pod === undefined) return null;
    const leads = tcpPortsOf(service).flatMap(({ name = '', port }) => {
      const targetPort = ports.find((one) => (one.name ?? '') === name && (one.protocol ?? 'TCP') === 'TCP')?.port;
      return targetPort === null || targetPort === undefined ? [] : [{ port, targetPort }];
    });
    return { workload: workloadNameOf(pod.metadata.name), ports: leads };
  });
  return found.includes(null) ? null : found.filter((endpoint) => endpoint !== null);
}

function isHeadless({ spec }: KubeService): boolean {
  return spec.clusterIPs.includes('None');
}
