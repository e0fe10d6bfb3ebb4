import type { KubeClient } from './client.ts';
import { type Index, ObjectCache, objectKey, type ObjectReader } from './cache.ts';
import { Backoff, isGone, type KubeObject, pages, type Source, watchFrom } from './list-watch.ts';

export interface ReflectorOptions extends Omit<Source, 'client'> {
  readonly indexes?: Readonly<Record<string, Index>>;
  /** What to keep of an object, to save memory; identity (`metadata` but for `managedFields`) must stay. */
  readonly trim?: (object: KubeObject) => KubeObject;
  /**
   * Told the key of what is not any more as it was: made, changed, replaced by another of its name, or gone; look into
   * {@link Reflector.store} for which. Not told twice of one version. Must not throw.
   */
  readonly onChange: (key: string) => void;
}

/**
 * Keeps {@link store} at what a collection of the API server is, through whatever happens on the way: lost and silent
 * connections, refusals, restarts, versions that are too old (`410 Gone`: listed again, and compared by UID and version, so
 * that nobody is told of what did not change).
 */
export class Reflector {
  readonly store: ObjectReader;
  /** Resolves when the first list is in {@link store}; never when stopped before. */
  readonly synced: Promise<void>;
  readonly #source: Source;
  readonly #options: ReflectorOptions;
  readonly #cache: ObjectCache;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  #hasSynced = false;
  #tellSynced: () => void = () => undefined;

  /** Starts at once. */
  constructor(client: KubeClient, options: ReflectorOptions) {
    this.#options = options;
    this.#source = { ...options, client };
    this.#cache = new ObjectCache(options.indexes);
    this.store = this.#cache;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#tellSynced = resolve;
    this.#loop = this.#run();
  }

  /** True when the first list is in {@link store}. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Ends it; {@link store} stays as it is. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff(signal);
    while (!signal.aborted) {
      try {
        const version = await this.#list();
        this.#hasSynced = true;
        this.#tellSynced();
        for await (const event of watchFrom(this.#source, version, signal)) {
          backoff.reset();
          if (event.type === 'Added' || event.type === 'Modified') this.#take(event.object);
          else if (event.type === 'Deleted') this.#drop(objectKey(event.object));
        }
        // Gone again and again, without an event between, must not become a circle of lists.
        if (!signal.aborted) await backoff.wait(null);
      } catch (error) {
        if (signal.aborted) return;
        if (!isGone(error)) this.#options.trouble(error);
        await backoff.wait(error);
      }
    }
  }

  /** Takes each page as it comes, so that no more than one is held beside the cache. @returns the version of the list */
  async #list(): Promise<string> {
    const seen = new Set<string>();
    let version = '';
    for await (const page of pages(this.#source, this.#stop.signal)) {
      for (const object of page.items) seen.add(this.#take(object));
      version = page.resourceVersion ?? version;
    }
    for (const key of this.#cache.keys()) if (!seen.has(key)) this.#drop(key);
    return version;
  }

  #take(object: KubeObject): string {
    const key = objectKey(object);
    if (this.#cache.set(key, this.#options.trim?.(object) ?? object)) this.#options.onChange(key);
    return key;
  }

  #drop(key: string): void {
    if (this.#cache.delete(key)) this.#options.onChange(key);
  }
}
