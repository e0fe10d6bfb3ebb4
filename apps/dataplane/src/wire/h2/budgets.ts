/** Frames that are cheap to send and cost the receiver: each kind may come in a burst, and then at a rate. */
const TABLE = {
  /** Streams that the peer resets, or makes us reset: CVE-2023-44487 and CVE-2025-8671. Streams that end well earn more. */
  reset: { burst: 200, perSecond: 20 },
  /** Requests that lead nowhere: answered in a few bytes, and nobody's work is done by them. Streams that end well earn more. */
  refused: { burst: 200, perSecond: 20 },
  /** CVE-2019-9512. What we send earns more. */
  ping: { burst: 100, perSecond: 10 },
  /** CVE-2019-9515. */
  settings: { burst: 20, perSecond: 2 },
  /** CVE-2019-9511. What we send earns more. */
  windowUpdate: { burst: 2000, perSecond: 200 },
  /** CVE-2019-9518: DATA without a byte and without end. */
  empty: { burst: 100, perSecond: 10 },
  /** CVE-2019-9513. */
  priority: { burst: 200, perSecond: 20 },
  /** Unknown frames, and frames to streams that are closed. */
  ignored: { burst: 1000, perSecond: 100 },
} as const;

export type BudgetKind = keyof typeof TABLE;

const KINDS = Object.keys(TABLE) as BudgetKind[];
/** What can be earned beyond the burst. */
const EARNED = 100_000;

/** Counts what a peer may still do. There is no clock in here: somebody tells how much time went by. */
export class Budgets {
  readonly #left: Record<BudgetKind, number>;

  constructor() {
    this.#left = Object.fromEntries(KINDS.map((kind) => [kind, TABLE[kind].burst])) as Record<BudgetKind, number>;
  }

  /** False when the peer did too much of this. */
  spend(kind: BudgetKind): boolean {
    this.#left[kind] -= 1;
    return this.#left[kind] >= 0;
  }

  /** Useful work allows for more of what comes with it. */
  earn(kind: BudgetKind, count: number): void {
    this.#left[kind] = Math.min(this.#left[kind] + count, TABLE[kind].burst + EARNED);
  }

  refill(seconds: number): void {
    for (const kind of KINDS) {
      const { burst, perSecond } = TABLE[kind];
      if (this.#left[kind] < burst) this.#left[kind] = Math.min(burst, this.#left[kind] + perSecond * seconds);
    }
  }
}
