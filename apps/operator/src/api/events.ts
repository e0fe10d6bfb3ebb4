/** What may have changed; the console asks again for what it shows. */
export type Topic = 'resources' | 'telemetry' | 'signals' | 'proxies' | 'steps' | 'ca';

/** At most one event a second for each topic reaches a listener: enough to be live, too few to flicker. */
const SPACING_MS = 1_000;

/** Fans out "something changed" to open consoles. */
export class Events {
  readonly #listeners = new Set<(topic: Topic) => void>();
  readonly #waiting = new Map<Topic, NodeJS.Timeout>();

  publish(topic: Topic): void {
    if (this.#waiting.has(topic)) return;
    const timer = setTimeout(() => {
      this.#waiting.delete(topic);
      for (const listener of this.#listeners) listener(topic);
    }, SPACING_MS);
    timer.unref();
    this.#waiting.set(topic, timer);
  }

  /** @returns what ends the subscription */
  subscribe(listener: (topic: Topic) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
