import { canonicalJson, decidedAs, type MeshService, type MeshWorkload } from '../../mesh/index.ts';
import { attaches, compileWorkloadPolicy, effectiveMtls, policyId, type PolicyTarget } from '../../policy/index.ts';
import type { AuthorizationPolicy } from '../../resources/index.ts';
import { type PolicySet, policyTarget, type Universe } from '../model.ts';
import type { Modes } from './search.ts';

/** One port on which calls arrive. */
export interface SubjectPort {
  readonly port: number;
  readonly protocol: 'http' | 'tcp';
  readonly modes: Modes;
}

/** Workloads that no policy of either set treats differently. */
export interface Subject {
  readonly workloads: readonly MeshWorkload[];
  /** The first of them stands for all. */
  readonly workload: MeshWorkload;
  readonly target: PolicyTarget;
  readonly ports: readonly SubjectPort[];
  readonly before: readonly AuthorizationPolicy[];
  readonly after: readonly AuthorizationPolicy[];
  /** True when both sets say the same to begin with. */
  readonly same: boolean;
}

/** Groups workloads by the policies that bear on them, before and after, and by their ports. */
export function subjects(before: PolicySet, after: PolicySet, universe: Universe): Subject[] {
  const [readBefore, readAfter] = [new Reader(before, universe), new Reader(after, universe)];
  const portsOf = portReader(before, after);
  const groups = new Map<string, { subject: Subject; workloads: MeshWorkload[] }>();
  for (const workload of universe.workloads) {
    const [old, young] = [readBefore.attached(workload), readAfter.attached(workload)];
    const target = policyTarget(workload, universe.services);
    const ports = portsOf(workload, target, [...old.policies, ...young.policies]);
    const key = JSON.stringify([old.key, young.key, ports, old.byAddress || young.byAddress ? workload.address : '']);
    const known = groups.get(key);
    if (known) known.workloads.push(workload);
    else {
      const same = old.text() === young.text() && ports.every(({ modes }) => modes.before === modes.after) && sameMesh(before, after);
      const workloads = [workload];
      groups.set(key, { workloads, subject: { workloads, workload, target, ports, before: old.policies, after: young.policies, same } });
    }
  }
  return [...groups.values()].map(({ subject }) => subject);
}

function sameMesh(before: PolicySet, after: PolicySet): boolean {
  return canonicalJson(before.mesh) === canonicalJson(after.mesh);
}

/** Finds the policies of a workload without asking every policy of the mesh. */
class Reader {
  readonly #policies: PolicySet;
  readonly #services: readonly MeshService[];
  readonly #byNamespace: ReadonlyMap<string, readonly { policy: AuthorizationPolicy; at: number }[]>;

  constructor(policies: PolicySet, universe: Universe) {
    this.#policies = policies;
    this.#services = universe.services;
    this.#byNamespace = Map.groupBy(policies.authorizationPolicies.map((policy, at) => ({ policy, at })), ({ policy }) => policy.metadata.namespace ?? '');
  }

  attached(workload: MeshWorkload) {
    const { mesh } = this.#policies;
    const target = policyTarget(workload, this.#services);
    const near = new Set([workload.namespace, mesh.rootNamespace]);
    const found = [...near].flatMap((namespace) => this.#byNamespace.get(namespace) ?? []).filter(({ policy }) => attaches(policy, { mesh, workload: target }));
    const policies = found.map(({ policy }) => policy);
    return {
      policies,
      key: found.map(({ at }) => at).join(','),
      byAddress: policies.some((policy) => JSON.stringify(policy.spec).includes('destination.ip')),
      text: () => policies.map((policy) => `${policyId(policy)} ${canonicalJson(policy.spec)}`).sort().join('\n'),
    };
  }
}

function portReader(before: PolicySet, after: PolicySet) {
  return (workload: MeshWorkload, target: PolicyTarget, policies: readonly AuthorizationPolicy[]): SubjectPort[] => {
    const [old, young] = [before, after].map((set) => compileWorkloadPolicy({ ...set, authorizationPolicies: [], workload: target }));
    if (!old || !young) return [];
    return portsFor(workload, policies).map(({ port, protocol }) => ({ port, protocol, modes: { before: effectiveMtls(old, port).mode, after: effectiveMtls(young, port).mode } }));
  };
}

/** The ports that the workload has; for one without any, those that policies name and one more, in both protocols. */
function portsFor(workload: MeshWorkload, policies: readonly AuthorizationPolicy[]): Pick<SubjectPort, 'port' | 'protocol'>[] {
  if (workload.ports.length > 0) return workload.ports.flatMap(({ port, protocol }) => decidedAs(protocol).map((as) => ({ port, protocol: as })));
  const named = policies.flatMap(({ spec }) => (spec.rules ?? []).flatMap((rule) => [
    ...(rule.to ?? []).flatMap(({ operation }) => [...(operation.ports ?? []), ...(operation.notPorts ?? [])]),
    ...(rule.when ?? []).filter(({ key }) => key === 'destination.port').flatMap(({ values, notValues }) => [...(values ?? []), ...(notValues ?? [])]),
  ])).map(Number);
  const ports = new Set(named);
  const other = [8080, 80, 1].find((port) => !ports.has(port)) ?? 65_535;
  return [...ports, other].flatMap((port) => (['http', 'tcp'] as const).map((protocol) => ({ port, protocol })));
}
