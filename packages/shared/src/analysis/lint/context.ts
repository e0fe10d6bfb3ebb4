import type { MeshWorkload } from '../../mesh/index.ts';
import { attaches, policyId } from '../../policy/index.ts';
import type { AuthorizationPolicy, AuthorizationRule } from '../../resources/index.ts';
import { allClauses, type Clause, type RuleParts, ruleParts } from '../clause.ts';
import { type PolicySet, policyTarget, type Universe } from '../model.ts';

export type Severity = 'error' | 'warn' | 'info';

/** One thing that is probably not what the author meant. */
export interface Finding {
  readonly code: string;
  readonly severity: Severity;
  /** `namespace/name`. */
  readonly policy: string;
  /** Field path below the policy, such as `spec.rules[0].to[0].operation.paths`. */
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
}

/** A rule with what it is made of. */
export interface LintedRule {
  readonly rule: AuthorizationRule;
  readonly index: number;
  readonly field: string;
  readonly parts: RuleParts;
  readonly clauses: readonly Clause[];
}

/** What a check looks at: one policy and where it bears. */
export interface LintContext {
  readonly set: PolicySet;
  readonly universe: Universe;
  readonly policy: AuthorizationPolicy;
  readonly id: string;
  readonly rules: readonly LintedRule[];
  /** Workloads that the policy bears on. */
  readonly targets: readonly MeshWorkload[];
}

/** A finding without what the table adds. */
export type Remark = Pick<Finding, 'field' | 'message' | 'remedy'>;
export type Check = (context: LintContext) => readonly Remark[];

export function contextOf(policy: AuthorizationPolicy, set: PolicySet, universe: Universe): LintContext {
  return {
    set, universe, policy,
    id: policyId(policy),
    rules: (policy.spec.rules ?? []).map((rule, index) => {
      const parts = ruleParts(rule, index);
      return { rule, index, field: `spec.rules[${index}]`, parts, clauses: allClauses(parts) };
    }),
    targets: universe.workloads.filter((workload) => attaches(policy, { mesh: set.mesh, workload: policyTarget(workload, universe.services) })),
  };
}

const IDENTITY = /^(principals|namespaces|serviceAccounts|trustDomains|source\.(principal|namespace|serviceAccount|trustDomain))$/;

/** True for a clause about who calls. */
export function isIdentity({ subject }: Clause): boolean {
  return IDENTITY.test(subject);
}

/** A remark for every clause that a test holds against. */
export function forClauses(context: LintContext, remark: (clause: Clause, rule: LintedRule) => readonly Remark[]): Remark[] {
  return context.rules.flatMap((rule) => rule.clauses.flatMap((clause) => remark(clause, rule)));
}
