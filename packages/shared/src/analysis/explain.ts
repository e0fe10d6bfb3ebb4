import type { MeshService, MeshWorkload } from '../mesh/index.ts';
import { attaches, compileRule, effectiveMtls, type EffectiveMtls, Facts, normalizePath, policyId, type PolicyRequest, type RawRequest, type RuleContext } from '../policy/index.ts';
import type { AuthorizationPolicy, MeshSpec } from '../resources/index.ts';
import { type CallVerdict, compileFor, judgeCall, type PolicySet, policyTarget } from './model.ts';
import { type Clause, type RuleParts, ruleParts } from './clause.ts';
import { seenValue } from './seen.ts';

/** What one list of values said to the request. */
export interface ExplainedClause {
  readonly field: string;
  readonly values: readonly string[];
  readonly matched: boolean;
  /** What the request has there. */
  readonly seen: string;
  /** True for an HTTP field of a rule that loses it on a TCP port. */
  readonly ignored: boolean;
}

export interface ExplainedRule {
  readonly index: number;
  readonly matched: boolean;
  /** True when the rule holds an HTTP field and the port is TCP, so that it can never match. */
  readonly neverOnTcp: boolean;
  readonly clauses: readonly ExplainedClause[];
  /** The fields that settled it: all that had to hold when it matched, those that failed when it did not. */
  readonly decidedBy: readonly string[];
}

/** One policy that was looked at, whether or not it bears on the workload. */
export interface ConsideredPolicy {
  readonly policy: string;
  readonly action: AuthorizationPolicy['spec']['action'];
  readonly enforcement: AuthorizationPolicy['spec']['enforcement'];
  readonly applies: boolean;
  /** Why it bears on the workload or does not. */
  readonly why: string;
  /** Index of the first rule that matches; null when none does. */
  readonly matched: number | null;
  readonly rules: readonly ExplainedRule[];
}

/** A verdict with everything that led to it. */
export interface Explanation {
  readonly workload: string;
  readonly verdict: CallVerdict;
  readonly mtls: EffectiveMtls & { readonly refused: boolean };
  /** The path that was matched; null for TCP, and when it was refused. */
  readonly path: string | null;
  readonly policies: readonly ConsideredPolicy[];
  /** The clause that decided: policy, rule and fields; null when no rule did. */
  readonly decidedBy: { readonly policy: string; readonly rule: number | null; readonly fields: readonly string[] } | null;
}

export interface ExplainInput {
  readonly policies: PolicySet;
  readonly workload: Pick<MeshWorkload, 'namespace' | 'name' | 'labels'>;
  readonly services: readonly MeshService[];
}

/**
 * Explains one call: the verdict of the evaluator, every policy of the workload's and the root namespace with the reason
 * why it applies or not, and for each rule which of its clauses held. What a clause says is asked of the evaluator, by a
 * rule that holds it alone.
 */
export function explain({ policies, workload, services }: ExplainInput, request: RawRequest): Explanation {
  const compiled = compileFor(policies, workload, services);
  const mode = effectiveMtls(compiled, request.destination.port);
  const verdict = judgeCall(compiled, request);
  const seen = asSeen(request, policies.mesh, mode);
  const near = policies.authorizationPolicies.filter(({ metadata }) => metadata.namespace === workload.namespace || metadata.namespace === policies.mesh.rootNamespace);
  const considered = near.map((policy) => consider(policy, { policies, workload, services }, seen));
  return {
    workload: `${workload.namespace}/${workload.name}`,
    verdict,
    mtls: { ...mode, refused: verdict.reason === 'plaintext-refused' },
    path: seen?.http?.path ?? null,
    policies: considered,
    decidedBy: decidedBy(verdict, considered),
  };
}

/** The request as policies see it; null when it never gets to them. */
function asSeen(request: RawRequest, mesh: MeshSpec, { mode }: EffectiveMtls): PolicyRequest | null {
  const { http, ...rest } = request;
  const base = { ...rest, source: { ...rest.source, principal: mode === 'DISABLE' ? null : rest.source.principal } };
  if (http === undefined) return base;
  const normal = normalizePath(http.target, mesh);
  const { method, host, headers } = http;
  return normal.ok ? { ...base, http: { method, host, headers, path: normal.path } } : null;
}

function consider(policy: AuthorizationPolicy, input: ExplainInput, seen: PolicyRequest | null): ConsideredPolicy {
  const { action, enforcement, rules } = policy.spec;
  const target = policyTarget(input.workload, input.services);
  const applies = attaches(policy, { mesh: input.policies.mesh, workload: target });
  const explained = applies && seen !== null ? (rules ?? []).map((rule, index) => explainRule(rule, index, policy, input.policies.mesh, seen)) : [];
  return {
    policy: policyId(policy), action, enforcement, applies,
    why: applies ? whyAttached(policy) : whyNot(policy, target.labels, target.services ?? [], input.policies.mesh),
    matched: explained.find((rule) => rule.matched)?.index ?? null,
    rules: explained,
  };
}

function whyAttached({ spec }: AuthorizationPolicy): string {
  if (spec.targetRefs !== undefined) return `targetRefs name Service ${spec.targetRefs.map((ref) => ref.name).join(', ')}`;
  const labels = labelText(spec.selector?.matchLabels);
  return labels === '' ? 'no selector: every workload in its scope' : `selector ${labels} matches`;
}

function whyNot({ spec }: AuthorizationPolicy, labels: Readonly<Record<string, string>>, services: readonly string[], mesh: MeshSpec): string {
  if (spec.targetRefs !== undefined) {
    if (mesh.compatibility === 'istio') return 'targetRefs have no effect on a sidecar (compatibility: istio)';
    return `targetRefs name ${spec.targetRefs.map((ref) => `${ref.kind} ${ref.name}`).join(', ')}; the workload belongs to ${services.join(', ') || 'no service'}`;
  }
  const wrong = Object.entries(spec.selector?.matchLabels ?? {}).filter(([key, value]) => labels[key] !== value);
  return `selector wants ${wrong.map(([key, value]) => `${key}=${value} (the workload has ${labels[key] === undefined ? 'none' : labels[key]})`).join(', ')}`;
}

function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`).join(',');
}

function explainRule(rule: NonNullable<AuthorizationPolicy['spec']['rules']>[number], index: number, policy: AuthorizationPolicy, mesh: MeshSpec, seen: PolicyRequest): ExplainedRule {
  const context: RuleContext = { mesh, namespace: policy.metadata.namespace ?? '', action: policy.spec.action, protocol: seen.http === undefined ? 'tcp' : 'http' };
  const facts = new Facts();
  // A peer whose principal is no SPIFFE ID is refused before any rule is read.
  const readable = facts.load(seen);
  const test = compileRule(rule, context);
  const matched = readable && test !== null && test(facts);
  const parts = ruleParts(rule, index);
  const one = (clause: Clause): ExplainedClause => explainClause(clause, context, readable ? facts : null, seen);
  const tried = { from: parts.from?.map((entry) => entry.map(one)) ?? null, to: parts.to?.map((entry) => entry.map(one)) ?? null, when: parts.when.map(one) };
  const clauses = [...(tried.from ?? []).flat(), ...(tried.to ?? []).flat(), ...tried.when];
  return { index, matched, neverOnTcp: test === null, clauses, decidedBy: test === null ? httpFields(parts, context) : decisive(tried, matched) };
}

function explainClause({ alone, field, subject, values }: Clause, context: RuleContext, facts: Facts | null, seen: PolicyRequest): ExplainedClause {
  const test = compileRule(alone, context);
  const ignored = context.protocol === 'tcp' && isHttp(alone, context);
  return { field, values, ignored, matched: facts !== null && test !== null && test(facts), seen: seenValue(subject, seen) };
}

/** An ALLOW rule with an HTTP field has no test on a TCP port; that is how the evaluator tells such a field. */
function isHttp(alone: Clause['alone'], context: RuleContext): boolean {
  return compileRule(alone, { ...context, action: 'ALLOW', protocol: 'tcp' }) === null;
}

function httpFields(parts: RuleParts, context: RuleContext): string[] {
  return [...(parts.from ?? []).flat(), ...(parts.to ?? []).flat(), ...parts.when].filter((clause) => isHttp(clause.alone, context)).map((clause) => clause.field);
}

type Tried = { readonly from: readonly ExplainedClause[][] | null; readonly to: readonly ExplainedClause[][] | null; readonly when: readonly ExplainedClause[] };

/** Of a rule that matched: the first alternative of each list that held. Of one that did not: what failed in each list that failed. */
function decisive({ from, to, when }: Tried, matched: boolean): string[] {
  const lists = [from, to, when.map((clause) => [clause])];
  if (matched) {
    const held = [from, to].flatMap((entries) => entries?.find((entry) => entry.every((clause) => clause.matched)) ?? []);
    return [...held, ...when].filter((clause) => !clause.ignored).map((clause) => clause.field);
  }
  return lists.flatMap((entries, which) => {
    if (entries === null) return [];
    const failed = which === 2 ? entries : entries.some((entry) => entry.every((clause) => clause.matched)) ? [] : entries;
    return failed.flat().filter((clause) => !clause.matched).map((clause) => clause.field);
  });
}

function decidedBy(verdict: CallVerdict, considered: readonly ConsideredPolicy[]): Explanation['decidedBy'] {
  if (verdict.policy === null) return null;
  const rule = considered.find((each) => each.policy === verdict.policy)?.rules.find((each) => each.index === verdict.rule);
  return { policy: verdict.policy, rule: verdict.rule, fields: rule?.decidedBy ?? [] };
}
