import type { Facts } from './facts.ts';

/** Something that holds rules and finds the first that matches. */
export interface RuleFinder {
  /** The lowest ordinal of a matching rule, or -1. */
  first(facts: Facts): number;
}

/** Attributes of which a request has one value. */
export const SINGLE = ['principal', 'path', 'serviceAccount', 'namespace', 'port', 'method'] as const;
export type Single = (typeof SINGLE)[number];

/** Attributes by which rules are found without trying each of them; a request may have several values of the last three. */
export type Dimension = Single | 'host' | 'pathHead' | `header:${string}`;

/** Reads one attribute. A switch, because one call site sees all of them and a table of functions could not be inlined. */
export function valueOf(facts: Facts, dimension: Single): string {
  switch (dimension) {
    case 'principal': return facts.peer.principal;
    case 'path': return facts.path;
    case 'serviceAccount': return facts.peer.serviceAccount;
    case 'namespace': return facts.peer.namespace;
    case 'port': return facts.port;
    default: return facts.method;
  }
}

/** Finds rules by one dimension. */
export function makeProbe(dimension: Dimension, buckets: ReadonlyMap<string, RuleFinder>): RuleFinder {
  if (dimension === 'pathHead') return new PathHeadProbe(buckets);
  if (dimension === 'host') return new HostProbe(buckets);
  if (dimension.startsWith('header:')) return new HeaderProbe(dimension.slice('header:'.length), buckets);
  return new SingleProbe(dimension as Single, buckets);
}

class SingleProbe implements RuleFinder {
  readonly #dimension: Single;
  readonly #buckets: ReadonlyMap<string, RuleFinder>;

  constructor(dimension: Single, buckets: ReadonlyMap<string, RuleFinder>) {
    this.#dimension = dimension;
    this.#buckets = buckets;
  }

  first(facts: Facts): number {
    const bucket = this.#buckets.get(valueOf(facts, this.#dimension));
    return bucket === undefined ? -1 : bucket.first(facts);
  }
}

/** A host with its port, and without: a rule may mean either. */
class HostProbe implements RuleFinder {
  readonly #buckets: ReadonlyMap<string, RuleFinder>;

  constructor(buckets: ReadonlyMap<string, RuleFinder>) {
    this.#buckets = buckets;
  }

  first(facts: Facts): number {
    const full = this.#buckets.get(facts.host)?.first(facts) ?? -1;
    if (facts.bareHost === facts.host) return full;
    return lower(full, this.#buckets.get(facts.bareHost)?.first(facts) ?? -1);
  }
}

/** Each value of a repeated header is looked up. */
class HeaderProbe implements RuleFinder {
  readonly #name: string;
  readonly #buckets: ReadonlyMap<string, RuleFinder>;

  constructor(name: string, buckets: ReadonlyMap<string, RuleFinder>) {
    this.#name = name;
    this.#buckets = buckets;
  }

  first(facts: Facts): number {
    const { http } = facts.request;
    const values = http !== undefined && Object.hasOwn(http.headers, this.#name) ? http.headers[this.#name] : undefined;
    if (values === undefined) return -1;
    let best = -1;
    for (const value of values) best = lower(best, this.#buckets.get(value)?.first(facts) ?? -1);
    return best;
  }
}

/**
 * Finds rules by the beginning of a path up to a slash: `/a/b/` of `/a/b/*`. The beginnings of a request's path are told
 * by a hash that grows with each character, so that no text is cut out; rules whose beginnings share a hash share a
 * bucket, and their own tests tell them apart.
 */
class PathHeadProbe implements RuleFinder {
  readonly #buckets = new Map<number, RuleFinder>();
  /** No beginning is longer. */
  readonly #longest: number;

  constructor(buckets: ReadonlyMap<string, RuleFinder>) {
    let longest = 0;
    for (const [head, bucket] of buckets) {
      longest = Math.max(longest, head.length);
      let hash = HASH_SEED;
      for (let i = 0; i < head.length; i += 1) hash = grow(hash, head.charCodeAt(i));
      const known = this.#buckets.get(hash);
      this.#buckets.set(hash, known === undefined ? bucket : new Either(known, bucket));
    }
    this.#longest = longest;
  }

  first(facts: Facts): number {
    const { path } = facts;
    const end = Math.min(path.length, this.#longest);
    let best = -1;
    let hash = HASH_SEED;
    for (let i = 0; i < end; i += 1) {
      const code = path.charCodeAt(i);
      hash = grow(hash, code);
      if (code !== 0x2f) continue;
      const bucket = this.#buckets.get(hash);
      if (bucket !== undefined) best = lower(best, bucket.first(facts));
    }
    return best;
  }
}

const HASH_SEED = 0x11c9dc5;

/** FNV-1a, in 32 bits. */
function grow(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x0100_0193) | 0;
}

/** Two buckets under one hash. */
class Either implements RuleFinder {
  readonly #one: RuleFinder;
  readonly #other: RuleFinder;

  constructor(one: RuleFinder, other: RuleFinder) {
    this.#one = one;
    this.#other = other;
  }

  first(facts: Facts): number {
    return lower(this.#one.first(facts), this.#other.first(facts));
  }
}

/** The lower of two ordinals, of which -1 is none. */
export function lower(one: number, other: number): number {
  return one < 0 || (other >= 0 && other < one) ? other : one;
}
