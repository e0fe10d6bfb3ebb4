import type { CompiledWorkloadPolicy, ProtocolPolicy } from './compile.ts';
import type { Facts } from './facts.ts';
import { normalizePath, type NormalPath } from './path.ts';
import type { Decision, PolicyRequest, RawRequest, ShadowMatch } from './types.ts';

const MALFORMED = { status: 400, effect: 'DENY', policy: null, rule: null, provider: null, shadow: [] } as const;
const BAD_METHOD: Decision = { ...MALFORMED, reason: 'bad-request', explanation: 'the method is not in upper case, as methods are on the wire' };
const BAD_PEER: Decision = { ...MALFORMED, status: 403, reason: 'peer-not-verified', explanation: 'the peer’s identity is no SPIFFE ID' };
const NO_SHADOW: readonly ShadowMatch[] = [];

/**
 * Decides one request or connection.
 *
 * Istio's order, https://istio.io/latest/docs/concepts/security/#implicit-enablement: CUSTOM, then "if any DENY policy
 * matches, deny. If there are no ALLOW policies for the workload, allow. If any ALLOW policy matches, allow. Deny."
 * CUSTOM comes last here, as `ASK`: what is denied anyway is not worth a question, and the verdict is the same.
 * AUDIT and DryRun policies are reported as `shadow` and never decide. Never throws; allocates nothing unless a shadow
 * policy matches.
 */
export function decide(compiled: CompiledWorkloadPolicy, request: PolicyRequest): Decision {
  const { facts } = compiled;
  if (request.http !== undefined && !isMethod(request.http.method)) return BAD_METHOD;
  if (!facts.load(request)) return BAD_PEER;
  const rules = request.http === undefined ? compiled.tcp : compiled.http;
  const decision = compiled.refusal ?? enforce(rules, facts, compiled.otherwise);
  const shadow = rules.shadow.length === 0 ? NO_SHADOW : shadowMatches(rules, facts);
  return shadow.length === 0 ? decision : { ...decision, shadow };
}

/** A verdict on a raw request, and what is to be forwarded when it is allowed. */
export interface TargetDecision {
  readonly decision: Decision;
  /** The path in normal form; null for TCP or when it was refused. */
  readonly path: NormalPath | null;
  /** With its question mark, or ''. */
  readonly query: string;
}

/** Normalises the request's target and decides: 400 for a target that has no one meaning. */
export function decideTarget(compiled: CompiledWorkloadPolicy, request: RawRequest): TargetDecision {
  const { http, ...rest } = request;
  if (http === undefined) return { decision: decide(compiled, rest), path: null, query: '' };
  const normal = normalizePath(http.target, compiled.mesh);
  if (!normal.ok) return { decision: { ...MALFORMED, reason: 'path-rejected', explanation: normal.problem }, path: null, query: '' };
  const { method, host, headers } = http;
  return { decision: decide(compiled, { ...rest, http: { method, host, headers, path: normal.path } }), path: normal.path, query: normal.query };
}

function enforce({ deny, allow, custom }: ProtocolPolicy, facts: Facts, otherwise: Decision): Decision {
  const denied = firstOf(deny, facts);
  if (denied !== null) return denied;
  const allowed = firstOf(allow, facts) ?? otherwise;
  if (allowed.effect === 'DENY') return allowed;
  return firstOf(custom, facts) ?? allowed;
}

/** The decision of the first rule that matches. An index of -1 is never read with: to V8 that is a property like any other, and slow. */
function firstOf({ table, decisions }: ProtocolPolicy['deny'], facts: Facts): Decision | null {
  const found = table.first(facts);
  return found < 0 ? null : (decisions[found] ?? null);
}

function shadowMatches(rules: ProtocolPolicy, facts: Facts): readonly ShadowMatch[] {
  const found: ShadowMatch[] = [];
  for (const { table, sites } of rules.shadow) {
    const site = sites[table.first(facts)];
    if (site !== undefined) found.push({ policy: site.policy, action: site.action, rule: site.rule });
  }
  return found;
}

/** Methods are case-sensitive (RFC 9110 §9.1) and Envoy's parser knows them in upper case alone. */
function isMethod(method: string): boolean {
  for (let i = 0; i < method.length; i += 1) {
    const code = method.charCodeAt(i);
    if (code >= 0x61 && code <= 0x7a) return false;
  }
  return method.length > 0;
}
