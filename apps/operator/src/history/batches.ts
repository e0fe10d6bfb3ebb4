const MOST_AT_ONCE = 200;

/**
 * Keeps items in transactions, one after the other. What comes while one runs goes into the next one together: a chain grows
 * under a lock, and a burst must not queue for it.
 */
export class Batches<T> {
  readonly #keep: (items: readonly T[]) => Promise<void>;
  #waiting: { item: T; done: PromiseWithResolvers<void> }[] = [];
  #running = false;

  constructor(keep: (items: readonly T[]) => Promise<void>) {
    this.#keep = keep;
  }

  /** Resolves when the item is kept. */
  add(item: T): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ item, done });
    void this.#run();
    return done.promise;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_AT_ONCE);
      try {
        await this.#keep(batch.map(({ item }) => item));
        for (const { done } of batch) done.resolve();
      } catch (error) {
        for (const { done } of batch) done.reject(error);
      }
    }
    this.#running = false;
  }
}
