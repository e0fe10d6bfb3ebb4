import type { Flow, MeshWorkload } from '../mesh/index.ts';
import type { CompiledWorkloadPolicy, RawRequest } from '../policy/index.ts';
import type { AuthorizationPolicy, PeerAuthentication, RequestAuthentication, Resource } from '../resources/index.ts';
import { allClauses, ruleParts } from './clause.ts';
import { type CallVerdict, compileFor, judgeCall, type PolicySet, type Universe } from './model.ts';

/** What flows do not record, so that a rule on it cannot be replayed exactly. */
export type Approximation = 'path' | 'host' | 'headers' | 'token' | 'sni' | 'client address';

/** Recorded calls of one kind whose verdict changes. */
export interface ReplayedFlow {
  readonly flow: Flow;
  readonly before: CallVerdict;
  readonly after: CallVerdict;
  /** Why the replay may be wrong about some of these calls; empty when it is exact. */
  readonly approximate: readonly Approximation[];
}

export interface Replay {
  /** Calls that were replayed. */
  readonly evaluated: number;
  readonly wouldDeny: readonly ReplayedFlow[];
  readonly wouldAllow: readonly ReplayedFlow[];
  /** Allowed before, and now for an external authorizer to say. */
  readonly wouldAsk: readonly ReplayedFlow[];
  readonly unchanged: { readonly allowed: number; readonly denied: number };
  /** Calls without a verdict to replay: refused before policy, counted by the caller, or to a workload that is gone. */
  readonly skipped: number;
}

/** The recorded call as the evaluator takes it. Hosts, headers, tokens and SNI are not recorded, so rules on them see none. */
export function flowRequest(flow: Flow, workload: Pick<MeshWorkload, 'address'>): RawRequest {
  const common = { source: flow.source, destination: { ip: workload.address, port: flow.destination.port } };
  if (flow.protocol === 'tcp' || flow.method === null) return { protocol: 'tcp', ...common };
  const host = flow.destination.service === null ? '' : `${flow.destination.service}.${flow.destination.namespace}`;
  return { protocol: 'http', ...common, http: { method: flow.method, host, target: flow.samplePath ?? flow.path ?? '/', headers: {} } };
}

/** Calls that got as far as policy, as their receiver counted them. */
export function wasDecided(flow: Flow): boolean {
  const decided = flow.verdict === 'allowed' || flow.reason === 'policy-deny' || flow.reason === 'policy-no-allow' || flow.reason === 'plaintext-refused' || flow.reason === 'upstream-unreachable';
  return flow.side === 'inbound' && decided;
}

/** Replays the recorded calls of a window through two policy sets, with the evaluator that the proxies run. */
export function replay(flows: readonly Flow[], before: PolicySet, after: PolicySet, universe: Universe): Replay {
  const targets = new Targets(before, after, universe);
  const changed: Record<'DENY' | 'ALLOW' | 'ASK', ReplayedFlow[]> = { DENY: [], ALLOW: [], ASK: [] };
  const unchanged = { allowed: 0, denied: 0 };
  let [evaluated, skipped] = [0, 0];
  for (const flow of flows) {
    const target = targets.of(flow);
    if (target === null || !wasDecided(flow)) {
      skipped += flow.count;
      continue;
    }
    const request = flowRequest(flow, target.workload);
    const [was, will] = [judgeCall(target.before, request), judgeCall(target.after, request)];
    evaluated += flow.count;
    if (was.effect === will.effect) unchanged[will.effect === 'DENY' ? 'denied' : 'allowed'] += flow.count;
    else changed[will.effect].push({ flow, before: was, after: will, approximate: approximations(flow, target.unrecorded) });
  }
  for (const list of Object.values(changed)) list.sort((a, b) => b.flow.count - a.flow.count);
  return { evaluated, wouldDeny: changed.DENY, wouldAllow: changed.ALLOW, wouldAsk: changed.ASK, unchanged, skipped };
}

function approximations(flow: Flow, unrecorded: readonly Approximation[]): Approximation[] {
  return [...(flow.path === flow.samplePath ? [] : ['path' as const]), ...(flow.protocol === 'tcp' ? unrecorded.filter((each) => each === 'sni' || each === 'client address') : unrecorded)];
}

interface Target {
  readonly workload: MeshWorkload;
  readonly before: CompiledWorkloadPolicy;
  readonly after: CompiledWorkloadPolicy;
  readonly unrecorded: readonly Approximation[];
}

/** Compiles each workload once. */
class Targets {
  readonly #workloads: ReadonlyMap<string, MeshWorkload>;
  readonly #known = new Map<string, Target>();
  readonly #make: (workload: MeshWorkload) => Target;

  constructor(before: PolicySet, after: PolicySet, { workloads, services }: Universe) {
    this.#workloads = new Map(workloads.map((workload) => [`${workload.namespace}/${workload.name}`, workload]));
    const unrecorded = unrecordedBy([...before.authorizationPolicies, ...after.authorizationPolicies]);
    this.#make = (workload) => ({ workload, before: compileFor(before, workload, services), after: compileFor(after, workload, services), unrecorded: unrecorded(workload.namespace, [before.mesh.rootNamespace, after.mesh.rootNamespace]) });
  }

  of(flow: Flow): Target | null {
    const key = `${flow.destination.namespace}/${flow.destination.workload ?? ''}`;
    const known = this.#known.get(key);
    if (known) return known;
    const workload = this.#workloads.get(key);
    if (!workload) return null;
    const made = this.#make(workload);
    this.#known.set(key, made);
    return made;
  }
}

/** By namespace, what its policies look at and no flow tells. */
function unrecordedBy(policies: readonly AuthorizationPolicy[]): (namespace: string, roots: readonly string[]) => Approximation[] {
  const byNamespace = Map.groupBy(policies, (policy) => policy.metadata.namespace ?? '');
  return (namespace, roots) => {
    const near = [...new Set([namespace, ...roots])].flatMap((name) => byNamespace.get(name) ?? []);
    return [...new Set(near.flatMap(unrecordedIn))];
  };
}

/** What a policy looks at that flows do not record. */
export function unrecordedIn(policy: AuthorizationPolicy): Approximation[] {
  const subjects = (policy.spec.rules ?? []).flatMap((rule, index) => allClauses(ruleParts(rule, index)).map((clause) => clause.subject));
  return [...new Set(subjects.flatMap((subject): Approximation[] => {
    if (subject === 'hosts') return ['host'];
    if (subject.startsWith('request.headers')) return ['headers'];
    if (subject === 'requestPrincipals' || subject.startsWith('request.auth')) return ['token'];
    if (subject === 'connection.sni') return ['sni'];
    return subject === 'remote.ip' || subject === 'remoteIpBlocks' ? ['client address'] : [];
  }))];
}

/** A policy set with the proposed objects in the place of those of the same name. */
export function overlay(stored: PolicySet, proposed: readonly Resource[]): PolicySet {
  const same = (a: Resource, b: Resource) => a.metadata.namespace === b.metadata.namespace && a.metadata.name === b.metadata.name;
  const merge = <R extends Resource>(present: readonly R[], kind: R['kind']): R[] => {
    const fresh = proposed.filter((object): object is R => object.kind === kind);
    return [...present.filter((object) => !fresh.some((item) => same(item, object))), ...fresh];
  };
  return {
    mesh: proposed.findLast((object) => object.kind === 'Mesh')?.spec ?? stored.mesh,
    authorizationPolicies: merge<AuthorizationPolicy>(stored.authorizationPolicies, 'AuthorizationPolicy'),
    peerAuthentications: merge<PeerAuthentication>(stored.peerAuthentications, 'PeerAuthentication'),
    requestAuthentications: merge<RequestAuthentication>(stored.requestAuthentications ?? [], 'RequestAuthentication'),
  };
}
