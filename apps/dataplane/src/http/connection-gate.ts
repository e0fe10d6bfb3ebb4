import type { Breaker, Place } from '../traffic/breaker.ts';

/** No connection more may be made, and no call more may wait for one. */
export class OverloadError extends Error {
  override readonly name = 'OverloadError';
}

/** A pool whose connections are counted together with those of others. */
export interface GatedPool {
  /** Closes a connection that carries nothing. False when it has none. */
  giveUpIdle(): boolean;
}

/** Room for the connections of all pools of one service. Each asks before it dials. */
export class ConnectionGate {
  readonly #breaker: Breaker;
  readonly #pools = new Set<GatedPool>();

  constructor(breaker: Breaker) {
    this.#breaker = breaker;
  }

  /** True when a pool waits for others to give up a connection. */
  get crowded(): boolean {
    return this.#breaker.pending > 0;
  }

  /** How many calls may wait. */
  get mayWait(): number {
    return this.#breaker.mayWait;
  }

  join(pool: GatedPool): void {
    this.#pools.add(pool);
  }

  leave(pool: GatedPool): void {
    this.#pools.delete(pool);
  }

  /** A place for a connection, or one among those that wait; null when there is neither. See {@link Breaker.enter}. */
  enter(onTurn: () => void): Place | null {
    // What is kept for calls to come must not keep out those that are here.
    if (this.#breaker.full) for (const pool of this.#pools) if (pool.giveUpIdle()) break;
    return this.#breaker.enter(onTurn);
  }
}
