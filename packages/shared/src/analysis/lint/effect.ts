import type { MeshWorkload } from '../../mesh/index.ts';
import { attaches } from '../../policy/index.ts';
import type { AuthorizationPolicy } from '../../resources/index.ts';
import { diff } from '../diff/diff.ts';
import { type PolicySet, policyTarget } from '../model.ts';
import type { Check, LintContext, Remark } from './context.ts';

/** With more rules than this on a workload, whether each has an effect is not asked: that is a comparison for each. */
const MOST_RULES = 150;

/**
 * Rules that change nothing, proven by comparison: without the rule every call has the same verdict. Says why: the rule
 * contradicts itself, DENY policies cover it, or other rules say it already.
 */
export const noEffect: Check = (context) => {
  const { policy, rules, targets } = context;
  const compared = comparable(context);
  if (compared === null || policy.spec.enforcement !== 'Enforce' || policy.spec.action === 'AUDIT' || rules.length === 0) return [];
  return rules.flatMap(({ index, field, clauses }): Remark[] => {
    if (clauses.length > 0 && neverMatches(context, index, compared)) {
      return [{ field, message: 'its conditions contradict each other, so it never matches', remedy: 'correct or delete the rule' }];
    }
    if (policy.spec.action !== 'ALLOW' || targets.length === 0 || !isSame(without(context.set, policy, index), context.set, context, targets)) return [];
    if (isShadowed(context, index)) {
      return [{ field, message: 'every call that it allows is denied by a DENY policy, so it admits nobody', remedy: 'see which with `sallyport policy explain`, and delete the rule or narrow the DENY' }];
    }
    return [{ field, message: 'other rules decide all of its calls the same way, so it changes nothing', remedy: 'delete it, or check whether another rule is wider than it is meant to be' }];
  });
};

/** A DENY that no call needs: not wrong, but nothing hangs on it. */
export const secondLock: Check = (context) => {
  const { policy, rules, targets } = context;
  if (policy.spec.action !== 'DENY' || policy.spec.enforcement !== 'Enforce' || targets.length === 0 || comparable(context) === null) return [];
  return rules.flatMap(({ index, field }): Remark[] =>
    isSame(without(context.set, policy, index), context.set, context, targets)
      ? [{ field, message: 'everything that it denies is denied without it too', remedy: 'nothing, if it is meant as a second lock' }]
      : []);
};

/** Said once a policy when {@link noEffect} did not look. */
export const notCompared: Check = (context) =>
  context.rules.length > 0 && comparable(context) === null
    ? [{ field: 'spec.rules', message: `more than ${MOST_RULES} rules bear on its workloads, so whether each rule has an effect was not checked`, remedy: 'compare with and without a rule: sallyport policy diff' }]
    : [];

/** The workloads to compare for: one that has every port, when none is known; null when it would take too long. */
function comparable({ policy, set, universe, targets }: LintContext): readonly MeshWorkload[] | null {
  const [first] = targets;
  if (first === undefined) return [anyWorkload(policy)];
  const bearing = set.authorizationPolicies.filter((each) => attaches(each, { mesh: set.mesh, workload: policyTarget(first, universe.services) }));
  return bearing.reduce((sum, { spec }) => sum + (spec.rules?.length ?? 0), 0) > MOST_RULES ? null : targets;
}

function anyWorkload({ metadata, spec }: AuthorizationPolicy): MeshWorkload {
  return { namespace: metadata.namespace ?? '', name: 'any', labels: spec.selector?.matchLabels ?? {}, serviceAccount: 'any', spiffeId: 'spiffe://any/any', address: '10.0.0.1', proxy: 'any', ports: [] };
}

function neverMatches({ policy, set }: LintContext, index: number, workloads: readonly MeshWorkload[]): boolean {
  const alone = { ...policy, spec: { ...policy.spec, selector: undefined, targetRefs: undefined, rules: (policy.spec.rules ?? []).slice(index, index + 1) } } as AuthorizationPolicy;
  const none = policy.spec.action === 'ALLOW' ? [{ ...alone, spec: { ...alone.spec, rules: [] } }] : [];
  const only = (authorizationPolicies: AuthorizationPolicy[]): PolicySet => ({ ...set, authorizationPolicies, peerAuthentications: [] });
  return isSame(only(none), only([alone]), null, workloads.map((workload) => ({ ...workload, namespace: policy.metadata.namespace ?? '' })));
}

function without(set: PolicySet, policy: AuthorizationPolicy, index: number): PolicySet {
  const rest = (policy.spec.rules ?? []).filter((_, at) => at !== index);
  const kept = rest.length === 0 && policy.spec.action !== 'ALLOW' ? [] : [{ ...policy, spec: { ...policy.spec, rules: rest } }];
  return { ...set, authorizationPolicies: set.authorizationPolicies.flatMap((each) => (each === policy ? kept : [each])) };
}

/** With this rule as the only ALLOW rule, nothing gets through. */
function isShadowed(context: LintContext, index: number): boolean {
  const { policy, set, targets } = context;
  const denies = set.authorizationPolicies.filter(({ spec }) => spec.action !== 'ALLOW');
  const rule = (policy.spec.rules ?? []).slice(index, index + 1);
  const allow = (rules: typeof rule): PolicySet => ({ ...set, authorizationPolicies: [...denies, { ...policy, spec: { ...policy.spec, rules } }] });
  return isSame(allow([]), allow(rule), context, targets);
}

function isSame(before: PolicySet, after: PolicySet, context: LintContext | null, workloads: readonly MeshWorkload[]): boolean {
  return diff(before, after, { services: context?.universe.services ?? [], workloads }, { limit: 1 }).equal;
}
