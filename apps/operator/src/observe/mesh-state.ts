import { type MeshService, type MeshWorkload, parseSpiffeId, selects, workloadSpiffeId } from '@sallyport/shared/mesh';
import type { PolicyTarget } from '@sallyport/shared/policy';
import { API_VERSION, type ExpectedGraph, mesh as meshSchema, type Mesh, type Service, type Workload } from '@sallyport/shared/resources';
import type { ResourceCache } from '../store/cache.ts';

/** The mesh as resources describe it, in the nouns that the pure rooms use. */
export interface MeshState {
  readonly workloads: readonly MeshWorkload[];
  readonly services: readonly MeshService[];
  readonly expected: readonly ExpectedGraph[];
}

/** The one Mesh object, named `default`; its defaults for `trustDomain` when nobody wrote one. */
export function meshOf(cache: ResourceCache, trustDomain: string): Mesh {
  const stored = cache.all('Mesh').find((mesh) => mesh.metadata.name === 'default');
  return stored ?? meshSchema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain } });
}

/** Reads the cache into the nouns. */
export function meshState(cache: ResourceCache, trustDomain: string): MeshState {
  return meshStateFrom({ workloads: cache.all('Workload'), services: cache.all('Service'), expected: cache.all('ExpectedGraph') }, trustDomain);
}

/** The same from resources that are at hand, such as those of some files. */
export function meshStateFrom({ workloads, services, expected }: { readonly workloads: readonly Workload[]; readonly services: readonly Service[]; readonly expected: readonly ExpectedGraph[] }, trustDomain: string): MeshState {
  return {
    workloads: workloads.map((workload) => toMeshWorkload(workload, trustDomain)),
    services: services.map((service) => toMeshService(service, workloads)),
    expected,
  };
}

function toMeshWorkload(workload: Workload, trustDomain: string): MeshWorkload {
  const { metadata, spec } = workload;
  const namespace = metadata.namespace ?? '';
  return {
    namespace,
    name: metadata.name,
    labels: metadata.labels ?? {},
    serviceAccount: spec.serviceAccount,
    spiffeId: spec.spiffeId ?? workloadSpiffeId(trustDomain, namespace, spec.serviceAccount),
    address: spec.address,
    proxy: spec.proxy ?? null,
    ...(spec.spiffeId === undefined ? {} : { foreign: parseSpiffeId(spec.spiffeId).trustDomain }),
    ports: spec.inbound.map(({ port, protocol }) => ({ port, protocol })),
  };
}

/** A workload as policies are attached to it: `targetRefs` name the services of its namespace that select it. */
export function policyTargetOf({ namespace, labels }: Pick<MeshWorkload, 'namespace' | 'labels'>, services: readonly Service[]): PolicyTarget {
  return { namespace, labels, services: services.filter((service) => leadsTo(service, namespace, labels)).map((service) => service.metadata.name) };
}

/** As in Kubernetes, an empty selector picks no workload. */
function leadsTo({ metadata, spec }: Service, namespace: string, labels: Readonly<Record<string, string>>): boolean {
  return metadata.namespace === namespace && Object.keys(spec.selector).length > 0 && selects(spec.selector, labels);
}

/** Workloads that a service's selector picks. */
export function selectedWorkloads(service: Service, workloads: readonly Workload[]): Workload[] {
  return workloads.filter(({ metadata }) => leadsTo(service, metadata.namespace ?? '', metadata.labels ?? {}));
}

function toMeshService(service: Service, workloads: readonly Workload[]): MeshService {
  return {
    namespace: service.metadata.namespace ?? '',
    name: service.metadata.name,
    ports: service.spec.ports.map(({ port, targetPort, protocol }) => ({ port, targetPort: targetPort ?? port, protocol })),
    workloads: selectedWorkloads(service, workloads).map((workload) => workload.metadata.name),
  };
}
