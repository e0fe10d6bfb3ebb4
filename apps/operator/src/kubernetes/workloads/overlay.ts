import { DERIVED_ANNOTATION, type Kind, type Resource, type ResourceOf, type Status } from '@sallyport/shared/resources';
import { type ApplyResult, ConflictError, keyOf, type ResourceKey, type ResourceStore, type StoreEvent, type WriteContext } from '../../store/ports.ts';
import { carryTransitions } from '../../store/transitions.ts';
import type { Derived, DerivedChange } from './cluster.ts';

/** Changes that are kept for a watch that begins a little later than the list before it. */
const MAX_LOG = 20_000;

/** Where derived objects come from. */
interface DerivedSource {
  all(namespace?: string): Derived[];
  get(kind: Derived['kind'], namespace: string, name: string): Derived | null;
  onChange(listener: (change: DerivedChange) => void): () => void;
}

interface Logged {
  readonly sequence: number;
  /** The newest version of the store below that was known then. */
  readonly revision: string;
  readonly change: DerivedChange;
}

/**
 * A store with the workloads and services of the cluster laid over it, to be read and watched like any other; where a stored
 * object has the name of one of them, the cluster's is the one. They are not written: what they come from is.
 *
 * Derived objects have no history. Their changes are told with the store's newest revision, and kept for a while, so that who
 * lists and then watches misses none, and may be told of some twice.
 */
export class OverlayStore implements ResourceStore {
  readonly #store: ResourceStore;
  readonly #source: DerivedSource;
  /** What controllers say of derived objects is not kept in the cluster: it follows from what is. By kind and name. */
  readonly #statuses = new Map<string, { readonly uid: string | undefined; readonly status: Status }>();
  readonly #log: Logged[] = [];
  readonly #wakers = new Set<() => void>();
  #sequence = 0;
  #forgotten = 0;
  #newest = '0';

  constructor(store: ResourceStore, source: DerivedSource) {
    this.#store = store;
    this.#source = source;
    source.onChange((change) => this.#keep(change));
  }

  async get(key: ResourceKey): Promise<Resource | null> {
    return this.#derived(key) ?? (await this.#store.get(key));
  }

  async list<K extends Kind>(kind: K, namespace?: string): Promise<{ items: ResourceOf<K>[]; revision: string }> {
    const { items, revision } = await this.#store.list(kind, namespace);
    this.#seen(revision);
    const derived = this.#source.all(namespace).filter((object) => object.kind === kind).map((object) => this.#withStatus(object));
    if (derived.length === 0) return { items, revision };
    const names = new Set(derived.map(nameOf));
    const all = [...items.filter((item) => !names.has(nameOf(item))), ...(derived as Resource[] as ResourceOf<K>[])];
    return { items: all.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)), revision };
  }

  async apply(objects: readonly Resource[], context: WriteContext, dryRun?: boolean): Promise<ApplyResult[]> {
    for (const object of objects) this.#refuse(keyOf(object));
    return await this.#store.apply(objects, context, dryRun);
  }

  async writeStatus(key: ResourceKey, status: Status): Promise<void> {
    const object = this.#derived(key);
    if (object === null) return await this.#store.writeStatus(key, status);
    this.#statuses.set(idOf(object), { uid: object.metadata.uid, status: carryTransitions(object.status ?? null, status) });
    this.#keep({ type: 'Modified', object: this.#withStatus(object) });
  }

  async delete(key: ResourceKey, context: WriteContext, resourceVersion?: string): Promise<void> {
    this.#refuse(key);
    await this.#store.delete(key, context, resourceVersion);
  }

  async revision(): Promise<string> {
    const revision = await this.#store.revision();
    this.#seen(revision);
    return revision;
  }

  async *watch(from: string, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const queue: StoreEvent[] = [];
    let wake: () => void = () => undefined;
    const woken = () => wake();
    const below = this.#below(from, both, queue, woken);
    let place = this.#placeOf(from);
    this.#wakers.add(woken);
    both.addEventListener('abort', woken);
    try {
      while (!both.aborted) {
        if (place < this.#forgotten) {
          yield { type: 'Gone' };
          return;
        }
        const derived = this.#log.slice(place - this.#forgotten);
        place = this.#sequence;
        const events = [...queue.splice(0), ...derived.map(({ change, revision }): StoreEvent => ({ ...change, object: this.#withStatus(change.object), revision }))];
        yield* events;
        if (events.some(({ type }) => type === 'Gone')) return;
        if (derived.length > 0) yield { type: 'Bookmark', revision: this.#newest };
        if (queue.length > 0 || this.#sequence > place) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#wakers.delete(woken);
      stop.abort();
      await below;
    }
  }

  async #below(from: string, signal: AbortSignal, queue: StoreEvent[], woken: () => void): Promise<void> {
    for await (const event of this.#store.watch(from, signal)) {
      if (event.type !== 'Gone') this.#seen(event.revision);
      // A stored object under a name that the cluster has is not told of.
      if ('object' in event && this.#derived(keyOf(event.object)) !== null) continue;
      queue.push(event);
      woken();
    }
  }

  /** The newest change that whoever read at `from` has seen for certain. */
  #placeOf(from: string): number {
    const first = this.#log.find(({ revision }) => BigInt(revision) >= BigInt(from));
    return first === undefined ? this.#sequence : first.sequence - 1;
  }

  #keep(change: DerivedChange): void {
    if (change.type === 'Deleted') this.#statuses.delete(idOf(change.object));
    this.#sequence += 1;
    this.#log.push({ sequence: this.#sequence, revision: this.#newest, change });
    this.#forgotten = Math.max(this.#forgotten, (this.#log.splice(0, this.#log.length - MAX_LOG).at(-1)?.sequence ?? 0));
    for (const wake of this.#wakers) wake();
  }

  #seen(revision: string): void {
    if (BigInt(revision) > BigInt(this.#newest)) this.#newest = revision;
  }

  #derived({ kind, namespace, name }: ResourceKey): Derived | null {
    if (kind !== 'Workload' && kind !== 'Service') return null;
    const object = this.#source.get(kind, namespace, name);
    return object === null ? null : this.#withStatus(object);
  }

  #withStatus(object: Derived): Derived {
    const known = this.#statuses.get(idOf(object));
    // A pod by the name of one that was before begins without a status.
    return known === undefined || known.uid !== object.metadata.uid ? object : { ...object, status: known.status };
  }

  /** @throws ConflictError naming what to change instead */
  #refuse(key: ResourceKey): void {
    const object = this.#derived(key);
    if (object === null) return;
    const from = object.metadata.annotations?.[DERIVED_ANNOTATION.from] ?? '';
    throw new ConflictError(`${key.kind} ${key.namespace}/${key.name} is made from ${from} of the cluster and is not written; change ${from} in namespace ${key.namespace} instead`);
  }
}

function nameOf({ metadata }: Resource): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function idOf(object: Resource): string {
  return `${object.kind}/${nameOf(object)}`;
}
