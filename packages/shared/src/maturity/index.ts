import { type Criterion, type MaturityView, type Stage, STAGES } from '../api/index.ts';
import { CRITERIA } from './criteria.ts';
import type { CriterionRule, MaturityInput } from './types.ts';

/** Failing objects that are listed for one criterion; `finding` holds the full count. */
const MAX_FAILING = 100;

/**
 * The maturity of a namespace, criterion by criterion. There is no blended percentage: it would hide the one that fails.
 *
 * @returns `stage` is the highest whose criteria and all below it are met; indeterminate is not met
 */
export function assessMaturity(input: MaturityInput): MaturityView {
  const criteria = CRITERIA.map((rule) => assess(rule, input));
  const reached = STAGES.findIndex((stage) => criteria.some((item) => item.stage === stage && item.outcome !== 'met'));
  const count = reached < 0 ? STAGES.length : reached;
  const at = (index: number): Stage | null => STAGES[index] ?? null;
  return { namespace: input.namespace, stage: count === 0 ? null : at(count - 1), next: at(count), criteria };
}

function assess(rule: CriterionRule, input: MaturityInput): Criterion {
  const { outcome, finding, failing } = rule.assess(input);
  return {
    id: rule.id,
    stage: rule.stage,
    title: rule.title,
    outcome,
    finding,
    remedy: outcome === 'met' ? '' : rule.remedy.replaceAll('NAMESPACE', input.namespace),
    link: rule.link(input.namespace),
    failing: (failing ?? []).slice(0, MAX_FAILING),
  };
}

export type { MaturityInput, MaturityWorkload } from './types.ts';
