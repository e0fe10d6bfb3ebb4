import { setTimeout as delay } from 'node:timers/promises';

/** A request that waits no longer than this is held rather than sent away. */
const LONGEST_WAIT_MS = 2_000;
/** Those who were sent away come back at this share of the rate, so that newcomers find room. */
const RETURN_SHARE = 0.9;

/** Too many at once; `retryAfter` is in whole seconds, and spread so that not all come back together. */
export class OverLimitError extends Error {
  override readonly name = 'OverLimitError';
  readonly retryAfter: number;
  constructor(retryAfter: number) {
    super(`too many identity requests at once; retry after ${retryAfter} s`);
    this.retryAfter = retryAfter;
  }
}

/**
 * Lets requests through at an even rate. A short burst waits its turn here; the rest of a long one gets appointments,
 * one after the other, so that a thousand proxies that start together are all served once and none is throttled into
 * failure (istio#27945).
 */
export class IssuanceLimit {
  readonly #spacing: number;
  readonly #now: () => number;
  #nextSlot = 0;
  #nextReturn = 0;

  constructor(perSecond: number, now: () => number) {
    this.#spacing = 1000 / perSecond;
    this.#now = now;
  }

  /** Resolves when it is this request's turn. @throws OverLimitError with an appointment */
  async admit(): Promise<void> {
    const now = this.#now();
    const slot = Math.max(now, this.#nextSlot);
    if (slot - now <= LONGEST_WAIT_MS) {
      this.#nextSlot = slot + this.#spacing;
      if (slot > now) await delay(slot - now);
      return;
    }
    this.#nextReturn = Math.max(now + LONGEST_WAIT_MS, this.#nextReturn) + this.#spacing / RETURN_SHARE;
    throw new OverLimitError(Math.ceil((this.#nextReturn - now) / 1000));
  }
}
