import { decidedAs, type MeshWorkload } from '../../mesh/index.ts';
import { type CompiledWorkloadPolicy, effectiveMtls, type PolicyRequest, type RawRequest } from '../../policy/index.ts';
import { API_VERSION, type AuthorizationPolicy } from '../../resources/index.ts';
import { compareSubject, type PortDifference } from '../diff/compare.ts';
import { rawRequest } from '../diff/fields.ts';
import { isBranch, pathsOf, witnessOf } from '../diff/paths.ts';
import type { Node } from '../diff/search.ts';
import { type Subject, subjects } from '../diff/subject.ts';
import { type CallVerdict, compileFor, judgeCall, type PolicySet, type Universe } from '../model.ts';

/** How somebody gets through to a port. */
export interface Way {
  readonly port: number;
  readonly protocol: 'http' | 'tcp';
  readonly mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | null;
  readonly effect: 'ALLOW' | 'ASK';
  /** The rule that lets them in; null when no policy restricts, or none is enforced. */
  readonly how: { readonly policy: string; readonly rule: number } | null;
  /** True when every request gets through, not only some. */
  readonly everything: boolean;
  readonly explanation: string;
  /** A request that gets through. */
  readonly witness: RawRequest;
}

interface Entry {
  readonly subject: Subject;
  readonly differences: readonly PortDifference[];
  readonly compiled: CompiledWorkloadPolicy;
}

/** Answers for any identity and workload whether some request gets through: what differs from a mesh that denies everything. */
export class ReachIndex {
  /** False when the search was cut short: somebody may reach more than is said. */
  complete = true;
  readonly #entries = new Map<string, Entry>();
  /** Ports are guessed where nobody's are known: policies in files without the workloads. */
  readonly #guessPorts: boolean;

  constructor(policies: PolicySet, universe: Universe) {
    this.#guessPorts = universe.workloads.every((workload) => workload.ports.length === 0);
    const nothing: PolicySet = { ...policies, authorizationPolicies: [denyAll(policies.mesh.rootNamespace)] };
    const known = [...new Set(universe.workloads.map((workload) => workload.spiffeId))].slice(0, 500);
    for (const subject of subjects(nothing, policies, { ...universe, workloads: universe.workloads.filter((workload) => workload.proxy !== null) })) {
      const { differences, complete } = compareSubject(subject, nothing, policies, known);
      this.complete &&= complete;
      const entry = { subject, differences, compiled: compileFor(policies, subject.workload, universe.services) };
      for (const workload of subject.workloads) this.#entries.set(`${workload.namespace}/${workload.name}`, entry);
    }
  }

  /** @param principal SPIFFE ID; null for whoever speaks plaintext */
  ways(workload: MeshWorkload, principal: string | null): Way[] {
    // Who listens on nothing cannot be called.
    if (workload.ports.length === 0 && !this.#guessPorts) return [];
    const entry = this.#entries.get(`${workload.namespace}/${workload.name}`);
    if (!entry) return outside(workload, principal);
    return entry.differences.flatMap((difference) => {
      const next = follow(difference, principal);
      return next === null ? [] : difference.ports.map(({ port }) => wayTo(port, next, difference, entry.compiled, principal, workload.address));
    });
  }
}

/** Nothing is enforced for a workload that no proxy serves: whoever reaches its address is in. */
function outside(workload: MeshWorkload, principal: string | null): Way[] {
  if (principal !== null) return [];
  return workload.ports.flatMap(({ port, protocol }) => decidedAs(protocol).map((as) => ({ port, protocol: as }))).map(({ port, protocol }) => ({
    port, protocol, mode: null, effect: 'ALLOW', how: null, everything: true,
    explanation: 'the workload is outside the mesh: no proxy enforces anything',
    witness: rawRequest({ protocol: 'tcp', source: { principal: null, ip: '10.0.0.1' }, destination: { ip: workload.address, port } }),
  }));
}

function denyAll(namespace: string): AuthorizationPolicy {
  return { apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name: 'deny-all', namespace }, spec: { action: 'ALLOW', enforcement: 'Enforce' } };
}

/** What is left to ask once the identity is known; null when it gets nowhere. */
function follow({ node, fields, base }: PortDifference, principal: string | null): Node | null {
  const identity = fields[0];
  if (!identity || !isBranch(node) || node.field !== identity) return node;
  const own = identity.classOf(withPrincipal(base, principal));
  return node.groups.find(({ classes }) => classes.includes(own))?.next ?? null;
}

function withPrincipal(request: PolicyRequest, principal: string | null): PolicyRequest {
  return { ...request, source: { ...request.source, principal } };
}

function wayTo(port: number, next: Node, { base }: PortDifference, compiled: CompiledWorkloadPolicy, principal: string | null, ip: string): Way {
  const [path] = pathsOf(next, 1);
  const witness = rawRequest(witnessOf(path?.steps ?? [], withPrincipal({ ...base, destination: { ip, port } }, principal)));
  const verdict: CallVerdict = judgeCall(compiled, witness);
  if (verdict.effect === 'DENY') throw new Error(`reach is defective: the evaluator denies ${JSON.stringify(witness)}`);
  return {
    port, protocol: base.protocol, mode: effectiveMtls(compiled, port).mode, effect: verdict.effect,
    how: verdict.policy === null || verdict.rule === null ? null : { policy: verdict.policy, rule: verdict.rule },
    everything: !isBranch(next), explanation: verdict.explanation, witness,
  };
}
