/** Waits between attempts: doubling from `first` to `limit` with ±20 % jitter, so that proxies do not come back in step. */
export class Backoff {
  readonly #first: number;
  readonly #limit: number;
  #failures = 0;

  /** @param first first wait in milliseconds. @param limit longest wait in milliseconds */
  constructor(first = 500, limit = 30_000) {
    this.#first = first;
    this.#limit = limit;
  }

  /** Milliseconds to wait after one more failure; never less than `atLeast` (a server's Retry-After). */
  next(atLeast = 0): number {
    const wait = Math.min(this.#limit, this.#first * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return Math.max(atLeast, Math.round(wait * (0.8 + Math.random() * 0.4)));
  }

  /** After a success the next failure waits the first wait again. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Resolves after `ms` milliseconds, or at once when `signal` aborts. Does not keep the process alive. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    // setTimeout takes 31 bits; a longer wait would fire at once.
    const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1));
    timer.unref();
    signal.addEventListener('abort', done);
  });
}
