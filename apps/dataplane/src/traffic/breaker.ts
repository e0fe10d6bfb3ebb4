/** Infinity where there is no limit. */
export interface Limits {
  readonly open: number;
  readonly pending: number;
}

/** A place among those that are open or wait. */
export interface Place {
  /** True until its turn comes. */
  readonly waiting: boolean;
  /** Gives it back, or stops waiting. Once is enough; more does nothing. */
  leave(): void;
}

interface Entry {
  readonly onTurn: () => void;
  state: 'waiting' | 'open' | 'left';
}

/** Counts what is open, lets a bounded number wait, and refuses the rest (Envoy's circuit breakers). */
export class Breaker {
  #limits: Limits;
  #open = 0;
  readonly #waiting = new Set<Entry>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** False when everybody may come in. */
  get limited(): boolean {
    return Number.isFinite(this.#limits.open);
  }

  get open(): number {
    return this.#open;
  }

  /** True when nobody may come in at once. */
  get full(): boolean {
    return this.#open >= this.#limits.open || this.#waiting.size > 0;
  }

  /** How many may wait. */
  get mayWait(): number {
    return this.#limits.pending;
  }

  get pending(): number {
    return this.#waiting.size;
  }

  /** New limits. Nobody who is in is put out; who waits and may come in now does. */
  update(limits: Limits): void {
    this.#limits = limits;
    this.#admit();
  }

  /**
   * A place; null when there is none. `onTurn` is called, later, only for who had to wait.
   */
  enter(onTurn: () => void): Place | null {
    // Who comes later does not pass those that wait.
    const free = this.#open < this.#limits.open && this.#waiting.size === 0;
    if (!free && this.#waiting.size >= this.#limits.pending) return null;
    const entry: Entry = { onTurn, state: free ? 'open' : 'waiting' };
    if (free) this.#open += 1;
    else this.#waiting.add(entry);
    return { get waiting() { return entry.state === 'waiting'; }, leave: () => this.#leave(entry) };
  }

  #leave(entry: Entry): void {
    if (entry.state === 'waiting') this.#waiting.delete(entry);
    if (entry.state === 'open') this.#open -= 1;
    entry.state = 'left';
    this.#admit();
  }

  #admit(): void {
    for (const entry of this.#waiting) {
      if (this.#open >= this.#limits.open) return;
      this.#waiting.delete(entry);
      this.#open += 1;
      entry.state = 'open';
      entry.onTurn();
    }
  }
}
