import type { Facts } from './facts.ts';
import type { Predicate } from './rule.ts';

/** The attributes of a request by which rules are found without trying each of them. */
const DIMENSIONS = ['principal', 'path', 'serviceAccount', 'namespace', 'port'] as const;
type Dimension = (typeof DIMENSIONS)[number];

/** A rule with the exact values, by dimension, of which a request must have one for the rule to match. */
export interface IndexedRule {
  /** Position in the order of policies and rules: the lowest that matches decides. */
  readonly ordinal: number;
  readonly test: Predicate;
  readonly keys: Partial<Readonly<Record<Dimension, readonly string[]>>>;
}

const READ: Readonly<Record<Dimension, (facts: Facts) => string>> = {
  principal: (facts) => facts.peer.principal,
  path: (facts) => facts.path,
  serviceAccount: (facts) => facts.peer.serviceAccount,
  namespace: (facts) => facts.peer.namespace,
  port: (facts) => facts.port,
};

/** Buckets up to this size are cheaper to walk than to divide again. */
const SMALL = 4;

/** Finds the first rule that matches. Cost depends on how many rules share a request's values, not on how many there are. */
export class RuleTable {
  readonly #maps: readonly { readonly read: (facts: Facts) => string; readonly buckets: ReadonlyMap<string, RuleTable> }[];
  readonly #rest: readonly IndexedRule[];

  /** @param rules in ascending order of their ordinals */
  constructor(rules: readonly IndexedRule[], dimensions: readonly Dimension[] = DIMENSIONS) {
    const divided = rules.length <= SMALL ? null : divide(rules, dimensions);
    this.#rest = divided?.rest ?? rules;
    this.#maps = (divided?.groups ?? []).map(([dimension, buckets]) => ({
      read: READ[dimension],
      buckets: new Map([...buckets].map(([key, bucket]) => [key, new RuleTable(bucket, dimensions.filter((each) => each !== dimension))])),
    }));
  }

  /** The lowest ordinal of a matching rule, or -1. */
  first(facts: Facts): number {
    let best = -1;
    for (const { read, buckets } of this.#maps) {
      const found = buckets.get(read(facts))?.first(facts) ?? -1;
      if (found >= 0 && (best < 0 || found < best)) best = found;
    }
    for (const rule of this.#rest) {
      if (best >= 0 && rule.ordinal > best) break;
      if (rule.test(facts)) return rule.ordinal;
    }
    return best;
  }
}

type Buckets = Map<string, IndexedRule[]>;

/** Puts each rule under the dimension in which it shares its values with the fewest others. */
function divide(rules: readonly IndexedRule[], dimensions: readonly Dimension[]): { groups: [Dimension, Buckets][]; rest: IndexedRule[] } {
  const crowd = new Map<Dimension, Map<string, number>>(dimensions.map((dimension) => [dimension, countKeys(rules, dimension)]));
  const groups = new Map<Dimension, Buckets>();
  const rest: IndexedRule[] = [];
  for (const rule of rules) {
    const dimension = sparsest(rule, dimensions, crowd);
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

function countKeys(rules: readonly IndexedRule[], dimension: Dimension): Map<string, number> {
  const counts = new Map<string, number>();
  for (const rule of rules) for (const key of new Set(rule.keys[dimension])) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** The dimension whose fullest bucket for the rule is smallest; null when that would be all rules, or none fits. */
function sparsest(rule: IndexedRule, dimensions: readonly Dimension[], crowd: ReadonlyMap<Dimension, ReadonlyMap<string, number>>): Dimension | null {
  let best: Dimension | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const dimension of dimensions) {
    const keys = rule.keys[dimension];
    if (keys === undefined) continue;
    const fullest = Math.max(...keys.map((key) => crowd.get(dimension)?.get(key) ?? 0));
    if (fullest < least) [best, least] = [dimension, fullest];
  }
  return best;
}
