import type { Alternatives, Term } from './terms.ts';

/** Number of a list in {@link Lists}: `NEVER` holds no rule that can match, `ALWAYS` one that does. */
export const NEVER = 0;
export const ALWAYS = 1;

/** Parts and rules have numbers of their own; these two are the same among both. */
const FALSE = 0;
const TRUE = 1;

/** How a list answers to one field. */
interface Plan {
  /** Rules that do not look at the field. */
  readonly untouched: readonly number[];
  /** Rules that may survive even when none of their terms holds. */
  readonly always: readonly number[];
  readonly byTerm: ReadonlyMap<number, readonly number[]>;
}

/**
 * Lists of rules, reduced step by step as the fields of a request become known. Equal remainders are the same number, so
 * that comparing two is comparing numbers, and what was found out about one is known for all.
 */
export class Lists {
  readonly #terms: readonly Term[];
  readonly #parts: Alternatives[] = [[], [[]]];
  readonly #partIds = new Map<string, number>([['', FALSE], ['|', TRUE]]);
  readonly #rules: (readonly number[])[] = [[FALSE], []];
  readonly #ruleIds = new Map<string, number>([['', TRUE]]);
  readonly #lists: (readonly number[])[] = [[], [TRUE]];
  readonly #listIds = new Map<string, number>([['', NEVER], [String(TRUE), ALWAYS]]);
  readonly #plans = new Map<string, Plan>();

  constructor(terms: readonly Term[]) {
    this.#terms = terms;
  }

  /** @param rules each as alternatives that must all be met */
  add(rules: readonly (readonly Alternatives[])[]): number {
    return this.#list(rules.map((parts) => this.#rule(parts.map((part) => this.#part(part)))));
  }

  /** Terms of a field that a list still asks for. */
  asks(list: number, field: string): readonly number[] {
    return [...this.#plan(list, field).byTerm.keys()];
  }

  /** What is left of a list when exactly these terms of the field hold. */
  reduce(list: number, field: string, holding: readonly number[]): number {
    if (list === NEVER || list === ALWAYS) return list;
    const { untouched, always, byTerm } = this.#plan(list, field);
    if (byTerm.size === 0) return list;
    const candidates = new Set(always);
    for (const term of holding) for (const rule of byTerm.get(term) ?? []) candidates.add(rule);
    if (candidates.size === 0) return this.#list(untouched);
    const known = new Set(holding);
    return this.#list([...untouched, ...[...candidates].map((rule) => this.#reduceRule(rule, field, known))]);
  }

  #reduceRule(rule: number, field: string, holding: ReadonlySet<number>): number {
    return this.#rule((this.#rules[rule] ?? []).map((part) => this.#reducePart(part, field, holding)));
  }

  #reducePart(part: number, field: string, holding: ReadonlySet<number>): number {
    const left: number[][] = [];
    for (const cube of this.#parts[part] ?? []) {
      const own = cube.filter((term) => this.#terms[term]?.field === field);
      if (own.every((term) => holding.has(term))) left.push(cube.filter((term) => !own.includes(term)));
    }
    return this.#part(left);
  }

  #part(cubes: Alternatives): number {
    if (cubes.some((cube) => cube.length === 0)) return TRUE;
    const texts = [...new Set(cubes.map((cube) => [...new Set(cube)].sort((a, b) => a - b).join(',')))].sort();
    return intern(this.#partIds, texts.join('|'), this.#parts, () => texts.map((text) => text.split(',').map(Number)));
  }

  /** @returns FALSE for a rule with a part that cannot be met */
  #rule(parts: readonly number[]): number {
    if (parts.includes(FALSE)) return FALSE;
    const left = [...new Set(parts.filter((part) => part !== TRUE))].sort((a, b) => a - b);
    return intern(this.#ruleIds, left.join(','), this.#rules, () => left);
  }

  #list(rules: readonly number[]): number {
    if (rules.includes(TRUE)) return ALWAYS;
    const left = [...new Set(rules)].filter((rule) => rule !== FALSE).sort((a, b) => a - b);
    return intern(this.#listIds, left.join(','), this.#lists, () => left);
  }

  #plan(list: number, field: string): Plan {
    const key = `${list} ${field}`;
    const known = this.#plans.get(key);
    if (known) return known;
    const made = this.#makePlan(list, field);
    this.#plans.set(key, made);
    return made;
  }

  #makePlan(list: number, field: string): Plan {
    const untouched: number[] = [];
    const always: number[] = [];
    const byTerm = new Map<number, number[]>();
    for (const rule of this.#lists[list] ?? []) {
      const parts = (this.#rules[rule] ?? []).map((part) => this.#parts[part] ?? []);
      const asked = new Set(parts.flat(2).filter((term) => this.#terms[term]?.field === field));
      if (asked.size === 0) untouched.push(rule);
      else if (!parts.some((cubes) => cubes.every((cube) => cube.some((term) => asked.has(term))))) always.push(rule);
      for (const term of asked) {
        const rules = byTerm.get(term);
        if (rules) rules.push(rule);
        else byTerm.set(term, [rule]);
      }
    }
    return { untouched, always, byTerm };
  }
}

function intern<T>(ids: Map<string, number>, key: string, values: T[], make: () => T): number {
  const known = ids.get(key);
  if (known !== undefined) return known;
  const id = values.push(make()) - 1;
  ids.set(key, id);
  return id;
}
