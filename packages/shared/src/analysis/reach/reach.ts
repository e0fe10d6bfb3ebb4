import type { Flow, MeshWorkload } from '../../mesh/index.ts';
import { principalPatterns } from '../../policy/index.ts';
import { judgeCall, compileFor, type PolicySet, type Universe } from '../model.ts';
import { flowRequest, wasDecided } from '../replay.ts';
import { ReachIndex, type Way } from './index-of-reach.ts';

/** Whom a question about reach is asked for. */
interface Identity {
  /** `named`: by a policy, and held by no workload. `stranger`: any that no policy or workload names. */
  readonly kind: 'plaintext' | 'workload' | 'named' | 'stranger';
  /** SPIFFE ID; null for whoever speaks plaintext. */
  readonly principal: string | null;
  /** For people: the identity, `anyone in the network (plaintext)`, or `any other identity of …`. */
  readonly label: string;
  /** `namespace/name` of the workloads that hold it. */
  readonly workloads: readonly string[];
}

export interface ReachedBy extends Identity {
  readonly ways: readonly Way[];
}

/** Who can reach one workload. */
export interface WorkloadReach {
  readonly workload: string;
  readonly meshed: boolean;
  readonly by: readonly ReachedBy[];
  /** False when the search was cut short. */
  readonly complete: boolean;
}

const STRANGER = 'ns/nobody-knows/sa/nobody-knows';

/** Every identity that is asked about: those of workloads, those that policies name, a stranger's, and none. */
function identitiesOf(policies: PolicySet, { workloads }: Universe): Identity[] {
  const holders = Map.groupBy(workloads.filter((workload) => workload.proxy !== null), (workload) => workload.spiffeId);
  const named = new Set(policies.authorizationPolicies.flatMap(({ spec }) => (spec.rules ?? []).flatMap((rule) => (rule.from ?? []).flatMap(({ source }) => source.principals ?? [])))
    .filter((principal) => !principal.includes('*')).flatMap((principal) => principalPatterns([principal.replace(/^spiffe:\/\//, '')], policies.mesh)).map((text) => `spiffe://${text}`));
  for (const principal of holders.keys()) named.delete(principal);
  return [
    { kind: 'plaintext', principal: null, label: 'anyone in the network (plaintext)', workloads: [] },
    ...[...holders].map(([principal, of]) => ({ kind: 'workload' as const, principal, label: principal, workloads: of.map(idOf) })),
    ...[...named].map((principal) => ({ kind: 'named' as const, principal, label: principal, workloads: [] })),
    { kind: 'stranger', principal: `spiffe://${policies.mesh.trustDomain}/${STRANGER}`, label: `any other identity of ${policies.mesh.trustDomain}`, workloads: [] },
  ];
}

/** Which identities can reach which workloads, and how. */
export function reach(policies: PolicySet, universe: Universe, targets: readonly MeshWorkload[] = universe.workloads): WorkloadReach[] {
  const index = new ReachIndex(policies, universe);
  const identities = identitiesOf(policies, universe);
  return targets.map((workload) => ({
    workload: idOf(workload),
    meshed: workload.proxy !== null,
    by: identities.flatMap((identity) => {
      const ways = index.ways(workload, identity.principal);
      return ways.length === 0 ? [] : [{ ...identity, ways }];
    }),
    complete: index.complete,
  }));
}

/** One step of an attack: who is reached, from where, as whom. */
export interface Hop {
  readonly hop: number;
  readonly workload: string;
  /** The identity that the workload gives away; null when it is outside the mesh and has none. */
  readonly identity: string | null;
  /** `namespace/name` of the workload it is reached from, or the identity that was compromised first. */
  readonly from: string;
  /** The identity that is used; null when plaintext is enough. */
  readonly as: string | null;
  readonly ways: readonly Way[];
}

export interface BlastRadius {
  readonly start: string;
  readonly hops: readonly Hop[];
  readonly reached: number;
  readonly workloads: number;
  readonly complete: boolean;
}

/**
 * How far an attacker gets who holds one identity, when each workload that is reached falls and gives away its own.
 * Plaintext is always tried too: nothing makes an attacker show a certificate.
 *
 * @param start the SPIFFE ID; null for somebody in the network without one
 */
export function blastRadius(policies: PolicySet, universe: Universe, start: string | null): BlastRadius {
  const index = new ReachIndex(policies, universe);
  const fallen = new Set(universe.workloads.filter((workload) => workload.proxy !== null && workload.spiffeId === start).map(idOf));
  const hops: Hop[] = [];
  const label = start ?? 'anyone in the network (plaintext)';
  let frontier: { from: string; as: string | null }[] = [{ from: label, as: start }];
  const tried = new Set<string | null>();
  for (let hop = 1; frontier.length > 0; hop += 1) {
    const found: Hop[] = [];
    for (const { from, as } of frontier) {
      for (const identity of [as, null]) {
        if (tried.has(identity)) continue;
        tried.add(identity);
        for (const workload of universe.workloads.filter((each) => !fallen.has(idOf(each)))) {
          const ways = index.ways(workload, identity);
          if (ways.length === 0) continue;
          fallen.add(idOf(workload));
          found.push({ hop, workload: idOf(workload), identity: workload.proxy === null ? null : workload.spiffeId, from, as: identity, ways });
        }
      }
    }
    hops.push(...found);
    frontier = found.map((each) => ({ from: each.workload, as: each.identity }));
  }
  return { start: label, hops, reached: hops.length, workloads: universe.workloads.length, complete: index.complete };
}

/** What is allowed and was not used in the window. */
export interface OverPermission {
  /** Identities that a rule lets in by name and that made no call to that port. */
  readonly unusedIdentities: readonly { readonly identity: string; readonly workload: string; readonly port: number; readonly policy: string; readonly rule: number }[];
  /** ALLOW rules that let no recorded call in. */
  readonly unusedRules: readonly { readonly policy: string; readonly rule: number }[];
}

/** Compares what is allowed with what was recorded. Silence proves nothing beyond the window and its coverage. */
export function overPermission(policies: PolicySet, universe: Universe, flows: readonly Flow[]): OverPermission {
  const used = new Set<string>();
  const hit = new Set<string>();
  const byName = new Map(universe.workloads.map((workload) => [idOf(workload), { workload, compiled: compileFor(policies, workload, universe.services) }]));
  for (const flow of flows) {
    const target = byName.get(`${flow.destination.namespace}/${flow.destination.workload ?? ''}`);
    if (!target || !wasDecided(flow)) continue;
    const { effect, policy, rule } = judgeCall(target.compiled, flowRequest(flow, target.workload));
    if (effect === 'DENY') continue;
    used.add(`${flow.source.principal ?? ''} ${idOf(target.workload)} ${flow.destination.port}`);
    hit.add(`${policy ?? ''} ${rule ?? ''}`);
  }
  const unusedIdentities = reach(policies, universe).flatMap(({ workload, by }) => {
    const strangers = new Set(by.find(({ kind }) => kind === 'stranger')?.ways.map((way) => way.port));
    return by.flatMap(({ principal, ways }) => ways.flatMap(({ port, how }) =>
      principal === null || how === null || strangers.has(port) || used.has(`${principal} ${workload} ${port}`) ? [] : [{ identity: principal, workload, port, ...how }]));
  });
  const allows = policies.authorizationPolicies.filter(({ spec }) => spec.action === 'ALLOW' && spec.enforcement === 'Enforce');
  const unusedRules = allows.flatMap(({ metadata, spec }) => (spec.rules ?? []).flatMap((_, rule) => {
    const policy = `${metadata.namespace ?? ''}/${metadata.name}`;
    return hit.has(`${policy} ${rule}`) ? [] : [{ policy, rule }];
  }));
  return { unusedIdentities, unusedRules };
}

function idOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
