import type { FlowFacts } from './flow-counter.ts';
import { ownText } from './path-shape.ts';

/** How many kinds of calls are remembered in all, and of one identity on one path. Beyond that they are made anew. */
const MAX_KINDS = 4_096;
const MAX_ALIKE = 8;
/** Longer paths are rare, and remembering them would let callers fill the memory. */
const MAX_PATH = 256;

interface Kind<T> {
  readonly facts: FlowFacts;
  readonly value: T;
}

/**
 * Remembers something for each kind of call, so that a call like one before costs a few comparisons instead of a key made
 * of its fourteen parts. What is forgotten is made again: `make` must give things that add up to the same.
 */
export class CallKinds<T> {
  readonly #make: (facts: FlowFacts) => T;
  readonly #known = new Map<string | null, Map<string | null, Kind<T>[]>>();
  #size = 0;

  constructor(make: (facts: FlowFacts) => T) {
    this.#make = make;
  }

  find(facts: FlowFacts): T {
    const alike = this.#known.get(facts.source.principal)?.get(facts.path);
    if (alike !== undefined) for (const kind of alike) if (isSame(kind.facts, facts)) return kind.value;
    return this.#remember(facts);
  }

  #remember(facts: FlowFacts): T {
    if (facts.path !== null && facts.path.length > MAX_PATH) return this.#make(facts);
    if (this.#size >= MAX_KINDS) {
      this.#known.clear();
      this.#size = 0;
    }
    const kept = { ...facts, method: ownText(facts.method), path: ownText(facts.path) };
    const value = this.#make(kept);
    const paths = this.#known.get(kept.source.principal) ?? new Map<string | null, Kind<T>[]>();
    const alike = paths.get(kept.path) ?? [];
    if (alike.length >= MAX_ALIKE) alike.shift();
    else this.#size += 1;
    alike.push({ facts: kept, value });
    paths.set(kept.path, alike);
    this.#known.set(kept.source.principal, paths);
    return value;
  }
}

/** Principal and path were compared by whoever found the two. */
function isSame(a: FlowFacts, b: FlowFacts): boolean {
  return a.side === b.side && a.method === b.method && a.verdict === b.verdict && a.reason === b.reason && a.policy === b.policy
    && a.mtls === b.mtls && a.protocol === b.protocol && a.source.ip === b.source.ip && isSameDestination(a.destination, b.destination);
}

function isSameDestination(a: FlowFacts['destination'], b: FlowFacts['destination']): boolean {
  return a === b || (a.port === b.port && a.workload === b.workload && a.service === b.service && a.namespace === b.namespace);
}
