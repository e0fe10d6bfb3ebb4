import { selects } from '../../mesh/index.ts';
import { admissionProblems } from '../../policy/index.ts';
import { type AuthorizationPolicy, describeResource, type MeshSpec, type PeerAuthentication, problemsOf, type RequestAuthentication, type ResourceProblem, type Service } from '../../resources/index.ts';
import { type PolicyTest, TESTED_KINDS } from './schema.ts';

/** The usable resources of a test, and why the others are refused. */
export interface TestedResources {
  readonly mesh: MeshSpec;
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  readonly services: readonly Service[];
  readonly refusals: readonly ResourceProblem[];
}

type Tested = AuthorizationPolicy | PeerAuthentication | RequestAuthentication | Service;

/** Reads `spec.resources` as the store would: schema, then admission. */
export function testedResources({ spec }: PolicyTest): TestedResources {
  const refusals: ResourceProblem[] = [];
  const objects = spec.resources.flatMap((value, index) => readObject(value, index, refusals));
  const services = objects.filter((object) => object.kind === 'Service');
  const serviceExists = (namespace: string, name: string) => services.some(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  for (const object of objects) {
    if (object.kind === 'Service') continue;
    const problems = admissionProblems(object, { mesh: spec.mesh, serviceExists });
    refusals.push(...problems.map((problem) => ({ resource: describeResource(object.kind, object), ...problem })));
  }
  return {
    mesh: spec.mesh,
    authorizationPolicies: objects.filter((object) => object.kind === 'AuthorizationPolicy').map((policy) => dryRun(policy)),
    peerAuthentications: objects.filter((object) => object.kind === 'PeerAuthentication'),
    requestAuthentications: objects.filter((object) => object.kind === 'RequestAuthentication'),
    services,
    refusals,
  };
}

/** Names of the services whose selector picks a workload. As in Kubernetes, an empty selector picks none. */
export function servicesOf(services: readonly Service[], namespace: string, labels: Readonly<Record<string, string>>): string[] {
  return services
    .filter(({ metadata, spec }) => metadata.namespace === namespace && Object.keys(spec.selector).length > 0 && selects(spec.selector, labels))
    .map(({ metadata }) => metadata.name);
}

function readObject(value: unknown, index: number, refusals: ResourceProblem[]): Tested[] {
  const place = `spec.resources[${index}]`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(refusals, place, 'must be an object');
  const { kind } = value as { kind?: unknown };
  if (typeof kind !== 'string' || !Object.hasOwn(TESTED_KINDS, kind)) return refuse(refusals, place, `kind must be one of ${Object.keys(TESTED_KINDS).join(', ')}`);
  const result = TESTED_KINDS[kind as keyof typeof TESTED_KINDS].safeParse(value);
  // Another apiVersion and a wider name are all that sets these objects apart from those of the store.
  if (result.success) return [result.data as unknown as Tested];
  refusals.push(...problemsOf(`${place} ${describeResource(kind, value)}`, result.error));
  return [];
}

function refuse(refusals: ResourceProblem[], resource: string, message: string): [] {
  refusals.push({ resource, field: '', message });
  return [];
}

/** What Go's `strconv.ParseBool`, with which Istio reads the annotation, takes for true. */
const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];

/** Istio marks a dry run by an annotation; ours is a field. */
function dryRun(policy: AuthorizationPolicy): AuthorizationPolicy {
  if (!TRUE.includes(policy.metadata.annotations?.['istio.io/dry-run'] ?? '')) return policy;
  return { ...policy, spec: { ...policy.spec, enforcement: 'DryRun' } };
}
