import { type AdmissionContext, admissionProblems, servicesNamed } from '@sallyport/shared/policy';
import { describeResource, InvalidResourceError, type Mesh, type Resource, type ResourceProblem } from '@sallyport/shared/resources';
import type { ResourceKey, ResourceStore } from '../store/ports.ts';
import { ApiFailure } from './errors.ts';

/**
 * Refuses what its schema accepts and would have an effect that its author did not mean, against what is stored and
 * what is applied together with it. A change of the Mesh is held against every stored policy. Reads the store and not
 * the cache, which may lag behind the write before this one.
 *
 * @param standing the Mesh that is in force while none was ever applied
 * @throws InvalidResourceError naming each field
 */
export async function admit(store: ResourceStore, standing: Mesh, resources: readonly Resource[]): Promise<void> {
  const mesh = resources.find((object) => object.kind === 'Mesh');
  const stored = (await store.list('Mesh')).items.find((object) => object.metadata.name === 'default');
  const services = new Map([...(await store.list('Service')).items, ...resources.filter((object) => object.kind === 'Service')]
    .map(({ metadata, spec }) => [`${metadata.namespace ?? ''}/${metadata.name}`, spec.ports.map(({ port }) => port)]));
  const context: AdmissionContext = {
    mesh: (mesh ?? stored ?? standing).spec,
    serviceExists: (namespace, name) => services.has(`${namespace}/${name}`),
    portExists: (namespace, name, port) => services.get(`${namespace}/${name}`)?.includes(port) === true,
  };
  const replaced = new Set(resources.map(idOf));
  const kept = mesh === undefined ? [] : (await storedPolicies(store)).filter((object) => !replaced.has(idOf(object)));
  const problems = [...resources, ...kept].flatMap((object) => problemsOfObject(object, context));
  if (problems.length > 0) throw new InvalidResourceError(problems);
}

/** Refuses the deletion of a Service that a policy is attached to or sends calls to: it would silently apply to nothing. */
export async function admitDeletion(store: ResourceStore, key: ResourceKey): Promise<void> {
  if (key.kind !== 'Service') return;
  const attached = (await storedPolicies(store)).find(({ metadata, spec }) =>
    'targetRefs' in spec && spec.targetRefs?.some((ref) => ref.kind === 'Service' && ref.name === key.name && (ref.namespace ?? metadata.namespace) === key.namespace));
  if (attached) throw new ApiFailure('conflict', `${describeResource(attached.kind, attached)} is attached to Service ${key.namespace}/${key.name}`, 'delete or change that policy first');
  const user = (await store.list('TrafficPolicy')).items.find((policy) => policy.metadata.namespace === key.namespace && servicesNamed(policy).some(({ name }) => name === key.name));
  if (user) throw new ApiFailure('conflict', `${describeResource(user.kind, user)} names Service ${key.namespace}/${key.name}`, 'delete or change that policy first');
}

async function storedPolicies(store: ResourceStore) {
  return [...(await store.list('AuthorizationPolicy')).items, ...(await store.list('RequestAuthentication')).items, ...(await store.list('PeerAuthentication')).items];
}

function problemsOfObject(object: Resource, context: AdmissionContext): ResourceProblem[] {
  if (object.kind !== 'AuthorizationPolicy' && object.kind !== 'PeerAuthentication' && object.kind !== 'RequestAuthentication' && object.kind !== 'TrafficPolicy') return [];
  return admissionProblems(object, context).map((problem) => ({ resource: describeResource(object.kind, object), ...problem }));
}

function idOf({ kind, metadata }: Resource): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}
