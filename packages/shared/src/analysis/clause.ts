import type { AuthorizationRule, RuleCondition } from '../resources/index.ts';

/** One list of values in a rule: the smallest part that can match or not. */
export interface Clause {
  /** Below the policy, such as `spec.rules[0].from[1].source.principals`. */
  readonly field: string;
  /** What is looked at: `principals`, `paths`, or a key of `when`; without `not`. */
  readonly subject: string;
  readonly negative: boolean;
  readonly values: readonly string[];
  /** A rule that holds this clause alone; what it says is decided by the evaluator. */
  readonly alone: AuthorizationRule;
}

/** A rule taken apart: `from` and `to` are alternatives, each of clauses that must all hold; `when` must all hold. */
export interface RuleParts {
  readonly from: readonly (readonly Clause[])[] | null;
  readonly to: readonly (readonly Clause[])[] | null;
  readonly when: readonly Clause[];
}

/** Takes a rule apart by the schema's structure. */
export function ruleParts(rule: AuthorizationRule, index: number): RuleParts {
  const base = `spec.rules[${index}]`;
  return {
    from: rule.from?.map(({ source }, at) => fieldClauses(source, `${base}.from[${at}].source`, (field) => ({ from: [{ source: field }] }))) ?? null,
    to: rule.to?.map(({ operation }, at) => fieldClauses(operation, `${base}.to[${at}].operation`, (field) => ({ to: [{ operation: field }] }))) ?? null,
    when: (rule.when ?? []).flatMap((condition, at) => conditionClauses(condition, `${base}.when[${at}]`)),
  };
}

/** Every clause of a rule, in the order in which it is written. */
export function allClauses({ from, to, when }: RuleParts): Clause[] {
  return [...(from ?? []).flat(), ...(to ?? []).flat(), ...when];
}

function fieldClauses(fields: object, place: string, alone: (field: Record<string, string[]>) => AuthorizationRule): Clause[] {
  return (Object.entries(fields) as [string, string[] | undefined][]).flatMap(([name, values]) => {
    if (values === undefined) return [];
    const negative = /^not[A-Z]/.test(name);
    const subject = negative ? `${name.charAt(3).toLowerCase()}${name.slice(4)}` : name;
    return [{ field: `${place}.${name}`, subject, negative, values, alone: alone({ [name]: values }) }];
  });
}

function conditionClauses({ key, values, notValues }: RuleCondition, place: string): Clause[] {
  const one = (list: string[] | undefined, name: 'values' | 'notValues'): Clause[] =>
    list === undefined ? [] : [{ field: `${place}.${name}`, subject: key, negative: name === 'notValues', values: list, alone: { when: [{ key, [name]: list }] } }];
  return [...one(values, 'values'), ...one(notValues, 'notValues')];
}
