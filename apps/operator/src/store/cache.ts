import { setTimeout as delay } from 'node:timers/promises';
import { KINDS, type Kind, type Resource, type ResourceOf } from '@sallyport/shared/resources';
import type { ResourceStore } from './ports.ts';

const ALL_KINDS = Object.keys(KINDS) as Kind[];

/**
 * All resources in memory, kept up to date by a watch: what controllers, push and views read. Readers must not change
 * what they get.
 */
export class ResourceCache {
  readonly #store: ResourceStore;
  readonly #objects = new Map<Kind, Map<string, Resource>>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #onError: (error: unknown) => void;
  #revision = '0';
  #loop: Promise<void> | null = null;

  constructor(store: ResourceStore, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  /** Loads everything, then follows. Resolves when the first load is done. */
  async start(): Promise<void> {
    await this.#reload();
    this.#loop = this.#follow();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** Revision up to which the cache has seen everything. */
  get revision(): string {
    return this.#revision;
  }

  /** All objects of a kind. */
  all<K extends Kind>(kind: K): ResourceOf<K>[] {
    return [...(this.#objects.get(kind)?.values() ?? [])] as ResourceOf<K>[];
  }

  /** Calls back after every batch of changes. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async #reload(): Promise<void> {
    // Listing each kind at its own revision and watching from the lowest repeats some changes and loses none.
    const lists = await Promise.all(ALL_KINDS.map(async (kind) => ({ kind, list: await this.#store.list(kind) })));
    for (const { kind, list } of lists) {
      this.#objects.set(kind, new Map(list.items.map((item) => [nameOf(item), item])));
    }
    const revisions = lists.map(({ list }) => BigInt(list.revision));
    this.#revision = String(revisions.reduce((low, revision) => (revision < low ? revision : low)));
    this.#notify();
  }

  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#consume();
        if (!this.#stop.signal.aborted) await this.#reload();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#onError(error);
        await delay(1_000, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }

  /** Follows the watch until it ends, which it does when it is told Gone. */
  async #consume(): Promise<void> {
    let changed = false;
    for await (const event of this.#store.watch(this.#revision, this.#stop.signal)) {
      if (event.type === 'Gone') return;
      this.#revision = event.revision;
      if (event.type === 'Bookmark') {
        if (changed) this.#notify();
        changed = false;
        continue;
      }
      const objects = this.#objects.get(event.object.kind);
      if (event.type === 'Deleted') objects?.delete(nameOf(event.object));
      else objects?.set(nameOf(event.object), event.object);
      changed = true;
    }
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function nameOf(object: Resource): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
