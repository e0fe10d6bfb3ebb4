import { PROXY_CONTAINER, POD_ANNOTATION } from '@sallyport/shared/push';
import { z } from 'zod';

/**
 * The parts of core/v1 and discovery.k8s.io/v1 objects from which workloads and services are made. The API server is the one
 * that writes them, so that what has another shape is of a version that we do not know, and is left out.
 */
const text = z.string();
const map = z.record(text, text).default({});
const metadata = z.object({
  name: text, namespace: text.default(''), uid: text.default(''), resourceVersion: text.default(''), labels: map, annotations: map,
  creationTimestamp: text.optional(), deletionTimestamp: text.optional(),
  ownerReferences: z.array(z.object({ kind: text, name: text, controller: z.boolean().default(false) })).default([]),
});
const protocol = text.default('TCP');
const container = z.object({ name: text, restartPolicy: text.optional(), ports: z.array(z.object({ name: text.optional(), containerPort: z.int(), protocol })).default([]) });

export const podObject = z.object({
  metadata,
  spec: z.object({ serviceAccountName: text.default('default'), nodeName: text.optional(), hostNetwork: z.boolean().default(false), containers: z.array(container), initContainers: z.array(container).default([]) }),
  status: z.object({
    phase: text.default('Pending'), podIP: text.optional(), podIPs: z.array(z.object({ ip: text })).default([]),
    conditions: z.array(z.object({ type: text, status: text })).default([]),
  }).prefault({}),
});
export type Pod = z.infer<typeof podObject>;

export const serviceObject = z.object({
  metadata,
  spec: z.object({
    type: text.default('ClusterIP'), selector: z.record(text, text).optional(), clusterIPs: z.array(text).default([]), publishNotReadyAddresses: z.boolean().default(false),
    ports: z.array(z.object({ name: text.optional(), port: z.int(), targetPort: z.union([z.int(), text]).optional(), protocol, appProtocol: text.optional() })).default([]),
  }),
});
export type KubeService = z.infer<typeof serviceObject>;
export type KubeServicePort = KubeService['spec']['ports'][number];

/** Fields may be `null` here, where Go has a pointer. */
export const endpointSliceObject = z.object({
  metadata,
  endpoints: z.array(z.object({ addresses: z.array(text), conditions: z.object({ ready: z.boolean().nullish() }).default({}), targetRef: z.object({ kind: text.default(''), name: text.default('') }).optional() })).nullish(),
  ports: z.array(z.object({ name: text.nullish(), port: z.int().nullish(), protocol: text.nullish() })).nullish(),
});
export type EndpointSlice = z.infer<typeof endpointSliceObject>;

export const namespaceObject = z.object({ metadata });
export type Namespace = z.infer<typeof namespaceObject>;

/** A pod that ended has no address that is its own. */
export function isCompleted({ status }: Pod): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

/** Its addresses, the one of its primary family first. */
export function addressesOf({ status }: Pod): string[] {
  return [...new Set([...(status.podIP === undefined ? [] : [status.podIP]), ...status.podIPs.map(({ ip }) => ip)])];
}

/** Whether the injector gave it a proxy. */
export function hasSidecar(pod: Pod): boolean {
  return pod.metadata.annotations[POD_ANNOTATION.injected] !== undefined && [...pod.spec.initContainers, ...pod.spec.containers].some(({ name }) => name === PROXY_CONTAINER);
}

/** TCP ports of its applications: its containers and, by KEP-753, its native sidecars; not those of our proxy. */
export function appPortsOf({ spec }: Pod): { readonly name: string | undefined; readonly port: number }[] {
  const running = [...spec.containers, ...spec.initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')].filter(({ name }) => name !== PROXY_CONTAINER);
  return running.flatMap(({ ports }) => ports.filter((port) => port.protocol === 'TCP').map(({ name, containerPort }) => ({ name, port: containerPort })));
}

/** Who made it, for people: the Deployment behind a ReplicaSet, whose name ends in the hash that the pod is labelled with. */
export function ownerOf({ metadata: { ownerReferences, labels } }: Pod): string | null {
  const owner = ownerReferences.find(({ controller }) => controller);
  if (owner === undefined) return null;
  const hash = labels['pod-template-hash'];
  const suffix = `-${hash ?? ''}`;
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(suffix)) return `Deployment/${owner.name.slice(0, -suffix.length)}`;
  return `${owner.kind}/${owner.name}`;
}
