import { X509Certificate } from 'node:crypto';
import { parseSpiffeId } from '@sallyport/shared/mesh';
import { compileAuthentication, type CompiledWorkloadPolicy, compileWorkloadPolicy, type WorkloadPolicyInput } from '@sallyport/shared/policy';
import type { ConfigEntry, ServiceConfig } from '@sallyport/shared/push';
import type { AuthorizationPolicy, JwtRule, MeshSpec, PeerAuthentication, RequestAuthentication, TrafficPolicySpec, Workload } from '@sallyport/shared/resources';
import { prepareAuthentication, type WorkloadAuthentication } from '../authn/authenticate.ts';
import type { KeyRing } from '../authn/key-ring.ts';
import { keyRings } from '../authn/key-rings.ts';
import { type ConfigProblem, type ConfigSet, RefusedConfigError } from '../config-stream/config-set.ts';
import type { TrustUpdate } from '../identity/trust.ts';

/** One workload that this proxy serves, with its policy ready to be asked. */
export interface ServedWorkload {
  readonly namespace: string;
  readonly name: string;
  readonly spiffeId: string;
  readonly spec: Workload['spec'];
  /** Services that select it, by the workload port they lead to. */
  readonly serviceByPort: ReadonlyMap<number, string>;
  readonly policy: CompiledWorkloadPolicy;
  /** Null when no RequestAuthentication bears on it. */
  readonly authentication: WorkloadAuthentication | null;
}

/** Everything the hot path looks at. Immutable: a change is a new snapshot. */
export interface Snapshot {
  readonly version: string;
  readonly mesh: MeshSpec;
  readonly trust: TrustUpdate;
  readonly workloads: readonly ServedWorkload[];
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, ServiceConfig>;
  /** The traffic policy that rules a service, by `namespace/name` of the service. */
  readonly traffic: ReadonlyMap<string, TrafficPolicySpec>;
}

interface Sorted {
  readonly mesh: MeshSpec;
  readonly trust: TrustUpdate;
  readonly workloads: readonly Extract<ConfigEntry, { type: 'workload' }>['value'][];
  readonly services: readonly ServiceConfig[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  readonly trafficPolicies: readonly Extract<ConfigEntry, { type: 'traffic' }>['value'][];
  readonly keys: (rule: JwtRule) => KeyRing | null;
}

/**
 * Compiles a complete set.
 *
 * @throws RefusedConfigError naming every entry that cannot be used
 */
export function compileSnapshot(set: ConfigSet, version: string, trustDomain: string): Snapshot {
  const sorted = sort(set, trustDomain);
  const problems: ConfigProblem[] = [];
  const traffic = trafficByService(sorted.trafficPolicies, problems);
  const workloads: ServedWorkload[] = [];
  for (const value of sorted.workloads) {
    const name = `workload/${value.resource.metadata.namespace ?? ''}/${value.resource.metadata.name}`;
    try {
      workloads.push(compileWorkload(value, sorted, trustDomain));
    } catch (error) {
      problems.push({ name: culprit(value, sorted) ?? name, message: (error as Error).message });
    }
  }
  if (problems.length > 0) throw new RefusedConfigError(problems);
  const services = new Map(sorted.services.map((service) => [`${service.namespace}/${service.name}`, service]));
  return { version, mesh: sorted.mesh, trust: sorted.trust, workloads, services, traffic };
}

function sort(set: ConfigSet, trustDomain: string): Sorted {
  const entries = [...set.values()].map(({ entry }) => entry);
  const mesh = entries.find((entry) => entry.type === 'mesh')?.value.spec;
  const bundle = entries.find((entry) => entry.type === 'bundle')?.value;
  if (!mesh) throw refuse('mesh', 'is missing');
  if (mesh.trustDomain !== trustDomain) throw refuse('mesh', `has trust domain ${mesh.trustDomain}; this proxy belongs to ${trustDomain}`);
  if (!bundle) throw refuse('bundle', 'is missing');
  if (bundle.trustDomain !== trustDomain) throw refuse('bundle', `is of trust domain ${bundle.trustDomain}`);
  const foreign = entries.flatMap((entry) => (entry.type === 'federation' ? [entry.value] : []));
  checkRoots('bundle', bundle.roots);
  for (const { trustDomain: name, roots } of foreign) checkRoots(`federation/${name}`, roots);
  return {
    mesh,
    trust: { roots: bundle.roots, jwtKeys: bundle.jwtKeys, federated: new Map(foreign.map((each) => [each.trustDomain, each])), denylist: mesh.denylist },
    workloads: entries.flatMap((entry) => (entry.type === 'workload' ? [entry.value] : [])),
    services: entries.flatMap((entry) => (entry.type === 'service' ? [entry.value] : [])),
    authorizationPolicies: entries.flatMap((entry) => (entry.type === 'authz' ? [entry.value] : [])),
    peerAuthentications: entries.flatMap((entry) => (entry.type === 'peer' ? [entry.value] : [])),
    requestAuthentications: entries.flatMap((entry) => (entry.type === 'authn' ? [entry.value] : [])),
    trafficPolicies: entries.flatMap((entry) => (entry.type === 'traffic' ? [entry.value] : [])),
    keys: keyRings(entries.flatMap((entry) => (entry.type === 'jwks' ? [entry.value] : []))),
  };
}

/** Two policies for one service would be a guess: the operator sends the one that rules. */
function trafficByService(policies: Sorted['trafficPolicies'], problems: ConfigProblem[]): Map<string, TrafficPolicySpec> {
  const ruled = new Map<string, TrafficPolicySpec>();
  for (const { resource: { metadata, spec }, services } of policies) {
    for (const service of services) {
      const key = `${metadata.namespace ?? ''}/${service}`;
      if (ruled.has(key)) problems.push({ name: `traffic/${metadata.namespace ?? ''}/${metadata.name}`, message: `another policy rules service ${key} already` });
      ruled.set(key, spec);
    }
  }
  return ruled;
}

function checkRoots(entry: string, roots: readonly string[]): void {
  if (roots.length === 0) throw refuse(entry, 'has no root: nobody could be trusted');
  for (const root of roots) {
    try {
      // Parsing is the check: a root that OpenSSL cannot read would break every handshake.
      if (!new X509Certificate(root).ca) throw new Error('not a CA');
    } catch {
      throw refuse(entry, 'has a root that is not a readable CA certificate');
    }
  }
}

function refuse(name: string, message: string): RefusedConfigError {
  return new RefusedConfigError([{ name, message }]);
}

function compileWorkload(value: Sorted['workloads'][number], sorted: Sorted, trustDomain: string): ServedWorkload {
  const { metadata, spec } = value.resource;
  const namespace = metadata.namespace;
  if (namespace === undefined) throw new Error('has no namespace');
  if (parseSpiffeId(value.spiffeId).trustDomain !== trustDomain) throw new Error(`identity ${value.spiffeId} is of another trust domain`);
  const input = policyInput(value, sorted);
  return {
    namespace,
    name: metadata.name,
    spiffeId: value.spiffeId,
    spec,
    // The first service that leads to a port names it (push protocol).
    serviceByPort: new Map([...value.services].reverse().map(({ name, targetPort }) => [targetPort, name])),
    policy: compileWorkloadPolicy(input),
    authentication: prepareAuthentication(compileAuthentication(input), sorted.mesh.compatibility, sorted.keys),
  };
}

/** Services are named so that `targetRefs` find the workload. */
function policyInput({ resource: { metadata }, services }: Sorted['workloads'][number], { mesh, authorizationPolicies, peerAuthentications, requestAuthentications }: Sorted): WorkloadPolicyInput {
  const workload = { namespace: metadata.namespace ?? '', labels: metadata.labels ?? {}, services: [...new Set(services.map(({ name }) => name))] };
  return { mesh, workload, authorizationPolicies, peerAuthentications, requestAuthentications };
}

/** The policy that does not compile by itself, if it was one. */
function culprit(value: Sorted['workloads'][number], sorted: Sorted): string | null {
  const input = policyInput(value, sorted);
  for (const policy of sorted.authorizationPolicies) {
    try {
      compileWorkloadPolicy({ ...input, authorizationPolicies: [policy], peerAuthentications: [] });
    } catch {
      return `authz/${policy.metadata.namespace ?? ''}/${policy.metadata.name}`;
    }
  }
  return null;
}
