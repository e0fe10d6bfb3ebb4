import type { Facts } from './facts.ts';
import { intern } from './match.ts';
import { type Dimension, lower, makeProbe, type RuleFinder, SINGLE, type Single, valueOf } from './probe.ts';
import type { Predicate } from './rule.ts';

/** A rule with the exact values, by dimension, of which a request must have one for the rule to match. */
export interface IndexedRule {
  /** Position in the order of policies and rules: the lowest that matches decides. */
  readonly ordinal: number;
  readonly test: Predicate;
  readonly keys: RuleKeys;
  /** True when a request that has one of the values in each dimension matches, so that the test need not be asked. */
  readonly complete: boolean;
}

export type RuleKeys = Partial<Readonly<Record<Dimension, readonly string[]>>>;

/** Buckets up to this size are cheaper to walk than to divide again. */
const SMALL = 4;
const NONE: readonly RuleFinder[] = [];

/** Finds the first rule that matches. Cost depends on how many rules share a request's values, not on how many there are. */
export class RuleTable implements RuleFinder {
  readonly #probes: readonly RuleFinder[];
  readonly #rest: Entry | null;

  /**
   * @param rules in ascending order of their ordinals
   * @param known dimensions by which a request was already led here
   */
  constructor(rules: readonly IndexedRule[], known: readonly Dimension[] = []) {
    const divided = rules.length <= SMALL ? null : divide(rules, known);
    let rest: Entry | null = null;
    for (const rule of (divided?.rest ?? rules).toReversed()) rest = new Entry(rule, known, rest);
    this.#rest = rest;
    this.#probes = divided === null ? NONE : divided.groups.map(([dimension, buckets]) =>
      makeProbe(dimension, new Map([...buckets].map(([key, bucket]) => [intern(key), finderOf(bucket, [...known, dimension])]))));
  }

  first(facts: Facts): number {
    let best = -1;
    for (let i = 0; i < this.#probes.length; i += 1) best = lower(best, this.#probes[i]?.first(facts) ?? -1);
    for (let entry = this.#rest; entry !== null; entry = entry.next) {
      if (best >= 0 && entry.ordinal > best) break;
      if (entry.matches(facts)) return entry.ordinal;
    }
    return best;
  }
}

/** A rule that stands alone needs no table around it: with thousands of rules that is a line of memory less to fetch. */
function finderOf(rules: readonly IndexedRule[], known: readonly Dimension[]): RuleFinder {
  const [only] = rules;
  return only !== undefined && rules.length === 1 ? new Entry(only, known, null) : new RuleTable(rules, known);
}

/**
 * A rule at its place in the table. What is left to ask of the usual rule (an identity, a method, a path) is compared
 * here, without walking its tree of functions: each step there is a line of memory that thousands of rules do not share.
 */
class Entry implements RuleFinder {
  readonly ordinal: number;
  readonly next: Entry | null;
  readonly #test: Predicate | null;
  readonly #first: Single | null;
  readonly #firstValue: string;
  readonly #second: Single | null;
  readonly #secondValue: string;

  constructor(rule: IndexedRule, known: readonly Dimension[], next: Entry | null) {
    const open = rule.complete ? remaining(rule, known) : null;
    this.ordinal = rule.ordinal;
    this.next = next;
    this.#test = open === null ? rule.test : null;
    [this.#first, this.#firstValue] = open?.[0] ?? [null, ''];
    [this.#second, this.#secondValue] = open?.[1] ?? [null, ''];
  }

  first(facts: Facts): number {
    return this.matches(facts) ? this.ordinal : -1;
  }

  matches(facts: Facts): boolean {
    if (this.#test !== null) return this.#test(facts);
    if (this.#first !== null && valueOf(facts, this.#first) !== this.#firstValue) return false;
    return this.#second === null || valueOf(facts, this.#second) === this.#secondValue;
  }
}

/** The values still to be compared if there are at most two, of dimensions with one value each; null: ask the test. */
function remaining({ keys }: IndexedRule, known: readonly Dimension[]): (readonly [Single, string])[] | null {
  const open: (readonly [Single, string])[] = [];
  for (const dimension of SINGLE) {
    const values = keys[dimension];
    if (values === undefined || known.includes(dimension)) continue;
    const [only] = values;
    if (only === undefined || values.length > 1) return null;
    open.push([dimension, intern(only)]);
  }
  return open.length <= 2 ? open : null;
}

type Buckets = Map<string, IndexedRule[]>;

/** Puts each rule under the dimension in which it shares its values with the fewest others. */
function divide(rules: readonly IndexedRule[], known: readonly Dimension[]): { groups: [Dimension, Buckets][]; rest: IndexedRule[] } {
  const crowd = countKeys(rules);
  const groups = new Map<Dimension, Buckets>();
  const rest: IndexedRule[] = [];
  for (const rule of rules) {
    const dimension = sparsest(rule, known, crowd);
    if (dimension === null) {
      rest.push(rule);
      continue;
    }
    const buckets: Buckets = groups.get(dimension) ?? new Map<string, IndexedRule[]>();
    groups.set(dimension, buckets);
    for (const key of new Set(rule.keys[dimension])) {
      const bucket = buckets.get(key);
      if (bucket) bucket.push(rule);
      else buckets.set(key, [rule]);
    }
  }
  return { groups: [...groups], rest };
}

type Crowd = ReadonlyMap<Dimension, ReadonlyMap<string, number>>;

function countKeys(rules: readonly IndexedRule[]): Crowd {
  const crowd = new Map<Dimension, Map<string, number>>();
  for (const { keys } of rules) {
    for (const [dimension, values] of Object.entries(keys) as [Dimension, readonly string[]][]) {
      const counts = crowd.get(dimension) ?? new Map<string, number>();
      crowd.set(dimension, counts);
      for (const key of new Set(values)) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return crowd;
}

/** The dimension whose fullest bucket for the rule is smallest, of those not used yet; null when the rule has none. */
function sparsest({ keys }: IndexedRule, known: readonly Dimension[], crowd: Crowd): Dimension | null {
  let best: Dimension | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const [dimension, values] of Object.entries(keys) as [Dimension, readonly string[]][]) {
    if (known.includes(dimension)) continue;
    const fullest = values.reduce((most, key) => Math.max(most, crowd.get(dimension)?.get(key) ?? 0), 0);
    if (fullest < least) [best, least] = [dimension, fullest];
  }
  return best;
}
