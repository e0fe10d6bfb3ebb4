import { canonicalJson } from '../../mesh/index.ts';
import { policyId } from '../../policy/index.ts';
import { type Check, forClauses, isIdentity } from './context.ts';

/** An ALLOW policy without rules matches nothing, and so denies everything that no other allows. */
export const deniesAll: Check = ({ policy, rules }) =>
  policy.spec.action === 'ALLOW' && rules.length === 0
    ? [{ field: 'spec.rules', message: 'an ALLOW policy without rules denies every call that no other ALLOW policy admits', remedy: 'nothing, if that is meant; else add rules, or {} to allow all' }]
    : [];

/** `{}` matches everything. */
export const matchesAll: Check = ({ policy, rules }) =>
  rules.filter(({ clauses }) => clauses.length === 0).map(({ field }) =>
    policy.spec.action === 'ALLOW'
      ? { field, message: 'an empty rule allows every call, from plaintext peers too', remedy: 'name sources or operations' }
      : { field, message: `an empty rule of a ${policy.spec.action} policy matches every call`, remedy: 'nothing, if that is meant; else name sources or operations' });

/** Istio: `*` is any authenticated identity, in whatever namespace. */
export const anyIdentity: Check = (context) =>
  context.policy.spec.action !== 'ALLOW' ? [] : forClauses(context, (clause) =>
    isIdentity(clause) && !clause.negative && clause.values.includes('*')
      ? [{ field: clause.field, message: `* in ${clause.subject} admits every authenticated identity`, remedy: 'name the callers; `sallyport policy suggest` lists those that were seen' }]
      : []);

/** A rule that does not ask who calls admits plaintext peers wherever the port takes them. */
export const anySource: Check = ({ policy, rules }) =>
  policy.spec.action !== 'ALLOW' ? [] : rules.filter(({ rule, clauses }) => clauses.length > 0 && rule.from === undefined && !clauses.some(isIdentity)).map(({ field }) => ({
    field, message: 'the rule does not ask who calls, so it admits anyone who can connect, in plaintext too where the port is not STRICT', remedy: 'add from, or make the port STRICT',
  }));

/** A peer without identity matches every negative: that may be the point, or a surprise. */
export const negativeDeny: Check = ({ policy, rules }) =>
  policy.spec.action !== 'DENY' ? [] : rules.flatMap(({ parts }) => (parts.from ?? []).flatMap((entry) => {
    const identity = entry.filter(isIdentity);
    const [first] = identity;
    if (first === undefined || identity.some((clause) => !clause.negative) || identity.every((clause) => clause.values.includes('*'))) return [];
    return [{ field: first.field, message: 'a plaintext peer has no identity and so is none of these: the rule denies every plaintext call as well', remedy: 'nothing, if that is meant; else make the port STRICT first, so that there are none' }];
  }));

/** Istio lets a negative match admit whoever shows no identity; ours does not (docs/policy-differences.md, D1). */
export const negativeAllow: Check = ({ policy, set, rules }) =>
  policy.spec.action !== 'ALLOW' || set.mesh.compatibility !== 'istio' ? [] : rules.flatMap(({ parts }) => (parts.from ?? []).flatMap((entry) => {
    const identity = entry.filter(isIdentity);
    const [first] = identity;
    if (first === undefined || identity.some((clause) => !clause.negative)) return [];
    return [{ field: first.field, message: 'with compatibility: istio a plaintext peer matches every negative, so this rule admits it', remedy: 'name who may call instead, or add principals: ["*"] to the same source' }];
  }));

/** The same rule twice, in one policy or in two of the same scope and action. */
export const duplicateRule: Check = ({ policy, id, rules, set }) => {
  const scope = (each: typeof policy) => canonicalJson([each.metadata.namespace, each.spec.action, each.spec.selector?.matchLabels ?? {}, each.spec.targetRefs ?? null, each.spec.enforcement, each.spec.provider ?? null]);
  const own = scope(policy);
  const earlier = new Map<string, string>();
  for (const each of set.authorizationPolicies) {
    if (each === policy) break;
    if (scope(each) === own) (each.spec.rules ?? []).forEach((rule, index) => earlier.set(canonicalJson(rule), `rule ${index} of ${policyId(each)}`));
  }
  return rules.flatMap(({ rule, index, field }) => {
    const text = canonicalJson(rule);
    const same = earlier.get(text);
    if (same === undefined) {
      earlier.set(text, `rule ${index} of ${id}`);
      return [];
    }
    return [{ field, message: `says the same as ${same}`, remedy: 'delete one of them' }];
  });
};
