export interface QueueOptions {
  /**
   * Brings one key to what it should be, from scratch. Never runs twice at a time for one key. May ask to be called again
   * after so many ms; a failure is called again by itself, later each time.
   */
  readonly reconcile: (key: string) => Promise<number | void>;
  readonly onError: (key: string, error: unknown) => void;
  /** Keys at a time; one unless told. */
  readonly concurrency?: number;
  /** Reconciles a second over a longer time, and how many may come at once before that; 50 and 100 unless told. */
  readonly perSecond?: number;
  readonly burst?: number;
  /** Wait after the first failure of a key, and the longest; 50 ms and five minutes unless told. */
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
}

/**
 * Keys that wait for a reconciler, each once however often it was added: the work queue of client-go. A key that is added
 * while it is worked on is worked on once more afterwards, so nothing is missed.
 */
export class WorkQueue {
  readonly #options: Required<QueueOptions>;
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, { readonly at: number; readonly timer: NodeJS.Timeout }>();
  #tokens: number;
  #filled = Date.now();
  #refill: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: QueueOptions) {
    this.#options = { concurrency: 1, perSecond: 50, burst: 100, firstRetryMs: 50, longestRetryMs: 300_000, ...options };
    this.#tokens = this.#options.burst;
  }

  /** Keys that wait or are worked on. */
  get size(): number {
    return this.#waiting.size + this.#running.size;
  }

  /** Asks for a key to be reconciled soon. */
  add(key: string): void {
    if (this.#closed) return;
    this.#forgetTimer(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  /** Asks for a key to be reconciled after a while; the earliest of several wishes counts. */
  addAfter(key: string, ms: number): void {
    const at = Date.now() + ms;
    const before = this.#timers.get(key);
    if (this.#closed || (before && before.at <= at)) return;
    this.#forgetTimer(key);
    this.#timers.set(key, { at, timer: setTimeout(() => this.add(key), ms) });
  }

  /** Ends it; resolves when what is worked on has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    if (this.#refill) clearTimeout(this.#refill);
    this.#waiting.clear();
    await Promise.all(this.#running.values());
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#closed || this.#running.size >= this.#options.concurrency || !this.#token()) return;
      this.#waiting.delete(key);
      this.#running.set(key, this.#work(key));
    }
  }

  async #work(key: string): Promise<void> {
    let again: number | void;
    try {
      again = await this.#options.reconcile(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#options.onError(key, error);
      again = this.#retryIn(key);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
    else if (again !== undefined) this.addAfter(key, again);
    this.#pump();
  }

  /** Twice as long after each failure, with jitter, so that what failed together does not come back together. */
  #retryIn(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const wait = Math.min(this.#options.longestRetryMs, this.#options.firstRetryMs * 2 ** Math.min(failures, 30));
    return wait * (0.5 + Math.random() / 2);
  }

  /** Takes a token of the bucket, or comes back when there is one. */
  #token(): boolean {
    const now = Date.now();
    const { burst, perSecond } = this.#options;
    this.#tokens = Math.min(burst, this.#tokens + (Math.max(0, now - this.#filled) / 1000) * perSecond);
    this.#filled = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return true;
    }
    this.#refill ??= setTimeout(() => {
      this.#refill = null;
      this.#pump();
    }, 1000 / perSecond);
    return false;
  }

  #forgetTimer(key: string): void {
    clearTimeout(this.#timers.get(key)?.timer);
    this.#timers.delete(key);
  }
}
