/** One ALLOW rule: this identity may use this method on this path. Every engine gets the same rules. */
export interface Rule {
  /** SPIFFE ID without its scheme. */
  readonly principal: string;
  readonly method: string;
  readonly path: string;
}

/** What is asked. */
export type Ask = Rule;

/** Rules that differ in one way, and requests for them. */
export interface Mix {
  readonly name: string;
  readonly rule: (index: number) => Rule;
}

/** What the issue asks about: rules that differ by identity, and rules that differ by exact path. */
export const MIXES: readonly Mix[] = [
  { name: 'identity', rule: (index) => ({ principal: caller(index), method: 'POST', path: '/v1/charge' }) },
  { name: 'path', rule: (index) => ({ principal: caller(0), method: 'POST', path: `/v1/orders/region-${index}/items` }) },
];

export const SIZES: readonly number[] = [10, 100, 1_000, 10_000];

/** How many different requests each engine is asked, so that no engine is timed on one warm rule. */
const ASKS = 512;

function caller(index: number): string {
  return `cluster.local/ns/team-${index % 50}/sa/caller-${index}`;
}

/** The rules of a mix. */
export function rulesOf(mix: Mix, size: number): Rule[] {
  return Array.from({ length: size }, (_, index) => mix.rule(index));
}

/**
 * Requests that are allowed and denied by turns, spread evenly over the rules. A denied one is a step beside a rule:
 * another method, another path, or another identity, by turns.
 */
export function asksOf(mix: Mix, size: number): { readonly ask: Ask; readonly allowed: boolean }[] {
  return Array.from({ length: ASKS }, (_, turn) => {
    // A prime stride visits all rules without order.
    const rule = mix.rule((turn * 7919) % size);
    if (turn % 2 === 0) return { ask: rule, allowed: true };
    const beside = [{ method: 'PUT' }, { path: `${rule.path}/x` }, { principal: `${rule.principal}-x` }][((turn - 1) / 2) % 3];
    return { ask: { ...rule, ...beside }, allowed: false };
  });
}
