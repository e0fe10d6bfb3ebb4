import type { PublicJwk } from '@sallyport/shared/push';
import { durationMs } from '@sallyport/shared/resources';
import type { Logger } from 'pino';
import { deleteKeySets, readKeySets, saveKeySet, type StoredKeys } from '../history/key-sets.ts';
import { meshOf } from '../observe/mesh-state.ts';
import type { ResourceCache } from '../store/cache.ts';
import type { Database } from '../store/postgres/client.ts';
import { fetchKeys, keySources, type KeySource } from './key-source.ts';

const MAX_IN_FLIGHT = 8;
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 5 * 60_000;

interface Tracked {
  readonly stored: StoredKeys | null;
  readonly failures: number;
  /** When the next attempt is due. */
  readonly dueAt: number;
}

export interface JwksOptions {
  readonly cache: ResourceCache;
  readonly database: Database;
  readonly trustDomain: string;
  readonly now: () => number;
  /** In [0, 1): spreads fetches, so that many rules do not ask one issuer at once. */
  readonly random: () => number;
  readonly log: Logger;
}

/** Keeps the keys of every issuer that a RequestAuthentication names: fetched, fresh, and kept when a fetch fails. */
export class JwksController {
  readonly #options: JwksOptions;
  readonly #sources = new Map<string, Tracked>();
  readonly #inFlight = new Map<string, Promise<void>>();
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #keys: ReadonlyMap<string, readonly PublicJwk[]> = new Map();
  #allowedHosts = '';

  constructor(options: JwksOptions) {
    this.#options = options;
  }

  /** Takes up what was known before a restart. */
  async start(): Promise<void> {
    for (const stored of await readKeySets(this.#options.database)) {
      const dueAt = stored.failure === null ? stored.attemptedAt + this.#refresh() : 0;
      this.#sources.set(stored.source, { stored, failures: 0, dueAt });
    }
    this.#publish();
  }

  /** Calls back when keys or their state changed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Known keys by source. A new map whenever any changed. */
  get keys(): ReadonlyMap<string, readonly PublicJwk[]> {
    return this.#keys;
  }

  /** What is known of a source; null before the first attempt ended. */
  state(source: string): StoredKeys | null {
    return this.#sources.get(source)?.stored ?? null;
  }

  /** Starts what is due and forgets what nobody names any more. Does not wait for fetches. */
  async tick(): Promise<void> {
    const wanted = keySources(this.#options.cache.all('RequestAuthentication'));
    this.#followAllowedHosts();
    await this.#forget(new Set(wanted.map(({ source }) => source)));
    for (const source of wanted) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) return;
      if (this.#isDue(source.source) && !this.#inFlight.has(source.source)) this.#begin(source);
    }
  }

  /** Breaks off fetches and waits for them to end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#inFlight.values());
  }

  /** Somebody allowed a host just now: what failed is worth another try at once. */
  #followAllowedHosts(): void {
    const present = this.#mesh().jwks.allowedHosts.join(' ');
    if (present === this.#allowedHosts) return;
    this.#allowedHosts = present;
    for (const [source, tracked] of this.#sources) if (tracked.failures > 0) this.#sources.set(source, { ...tracked, dueAt: 0 });
  }

  #isDue(source: string): boolean {
    const tracked = this.#sources.get(source);
    if (!tracked) return true;
    // A refresh that was made shorter counts from now on, not from the next fetch.
    const latest = (tracked.stored?.attemptedAt ?? 0) + this.#refresh() * 1.1;
    return Math.min(tracked.dueAt, latest) <= this.#options.now();
  }

  async #forget(wanted: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#sources.keys()].filter((source) => !wanted.has(source));
    if (gone.length === 0) return;
    for (const source of gone) this.#sources.delete(source);
    this.#publish();
    await deleteKeySets(this.#options.database, gone);
  }

  #begin(source: KeySource): void {
    const work = this.#fetch(source)
      .catch((error: unknown) => this.#options.log.warn({ source: source.source, error: (error as Error).message }, 'keys could not be kept; trying again'))
      .finally(() => this.#inFlight.delete(source.source));
    this.#inFlight.set(source.source, work);
  }

  async #fetch(source: KeySource): Promise<void> {
    const { database, now, log } = this.#options;
    const before = this.#sources.get(source.source) ?? { stored: null, failures: 0, dueAt: 0 };
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(source.timeoutMs)]);
    const result = await fetchKeys(source, { allowedHosts: this.#mesh().jwks.allowedHosts, signal }).catch((error: Error) => error);
    if (this.#stop.signal.aborted) return;
    const failed = result instanceof Error;
    const failures = failed ? before.failures + 1 : 0;
    if (failed) log.warn({ reason: result.message, keysFrom: isoOrNull(before.stored?.fetchedAt ?? null) }, 'keys not fetched; the last ones stay in use');
    const stored: StoredKeys = failed
      ? { source: source.source, keys: before.stored?.keys ?? null, fetchedAt: before.stored?.fetchedAt ?? null, attemptedAt: now(), failure: result.message.slice(0, 500) }
      : { source: source.source, keys: result, fetchedAt: now(), attemptedAt: now(), failure: null };
    this.#sources.set(source.source, { stored, failures, dueAt: now() + this.#wait(failures) });
    this.#publish();
    await saveKeySet(database, stored);
  }

  #wait(failures: number): number {
    const refresh = this.#refresh();
    const wait = failures === 0 ? refresh : Math.min(refresh, LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10));
    return wait * (0.9 + this.#options.random() * 0.2);
  }

  #refresh(): number {
    return durationMs(this.#mesh().jwks.refresh);
  }

  #mesh() {
    return meshOf(this.#options.cache, this.#options.trustDomain).spec;
  }

  #publish(): void {
    this.#keys = new Map([...this.#sources].flatMap(([source, { stored }]): [string, readonly PublicJwk[]][] => (stored?.keys ? [[source, stored.keys]] : [])));
    for (const listener of this.#listeners) listener();
  }
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
