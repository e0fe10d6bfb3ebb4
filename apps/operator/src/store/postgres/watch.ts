import { setTimeout as delay } from 'node:timers/promises';
import type { Resource } from '@sallyport/shared/resources';
import { Client } from 'pg';
import type { StoreEvent } from '../ports.ts';
import type { Database } from './client.ts';

const PAGE = 500;
const POLL_MS = 10_000;
const RECONNECT_MS = [100, 500, 2_000, 5_000];

/**
 * Wakes watchers when a revision commits. One pinned LISTEN connection for the process; losing it costs nothing but
 * delay, because watchers read the `changes` table from where they are on every wake-up, after every reconnect and
 * every 10 s. (Kuma drops events when its listener's buffer fills.)
 */
export class ChangeFeed {
  readonly #url: string;
  readonly #database: Database;
  readonly #waiting = new Set<() => void>();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;

  constructor(options: { url: string; database: Database }) {
    this.#url = options.url;
    this.#database = options.database;
  }

  /** Starts listening; returns at once. */
  start(): void {
    this.#running ??= this.#listen();
  }

  /** Ends the connection and every watch. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#wakeAll();
    await this.#running;
  }

  async *watch(from: string, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    const ended = AbortSignal.any([signal, this.#stop.signal]);
    let last = BigInt(from);
    while (!ended.aborted) {
      const events = await this.#read(last);
      if (events === null) {
        yield { type: 'Gone' };
        return;
      }
      for (const event of events) yield event;
      const newest = events.at(-1)?.revision;
      if (newest !== undefined) last = BigInt(newest);
      if (events.length === PAGE) continue;
      yield { type: 'Bookmark', revision: String(last) };
      await this.#changed(last, ended);
    }
  }

  /** Changes after `last`, at most a page; null when pruning took some of them; empty while the database is away. */
  async #read(last: bigint): Promise<Extract<StoreEvent, { object: Resource }>[] | null> {
    try {
      const [head, rows] = await this.#database.$transaction([
        this.#database.storeRevision.findUniqueOrThrow({ where: { id: 1 } }),
        this.#database.change.findMany({ where: { revision: { gt: last } }, orderBy: { revision: 'asc' }, take: PAGE }),
      ], { isolationLevel: 'RepeatableRead' });
      if (last < head.pruned) return null;
      return rows.map((row) => ({
        type: row.type as 'Added' | 'Modified' | 'Deleted',
        revision: String(row.revision),
        object: row.object as unknown as Resource,
      }));
    } catch {
      // The reconnect below wakes us; nothing was skipped, because `last` did not move.
      await delay(500, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      return [];
    }
  }

  /** Waits for a wake-up or the poll interval. A commit between reading and waiting is caught by asking once more. */
  async #changed(last: bigint, ended: AbortSignal): Promise<void> {
    const woken = Promise.withResolvers<void>();
    const wake = () => woken.resolve();
    this.#waiting.add(wake);
    ended.addEventListener('abort', wake, { once: true });
    const timer = setTimeout(wake, POLL_MS);
    try {
      const head = await this.#database.storeRevision.findUnique({ where: { id: 1 } }).catch(() => null);
      if (head && head.revision > last) return;
      await woken.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(wake);
      ended.removeEventListener('abort', wake);
    }
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  async #listen(): Promise<void> {
    let attempt = 0;
    while (!this.#stop.signal.aborted) {
      const client = new Client({ connectionString: this.#url, keepAlive: true, connectionTimeoutMillis: 5_000 });
      const lost = new Promise<void>((resolve) => {
        client.on('error', () => resolve());
        client.on('end', () => resolve());
        this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      try {
        await client.connect();
        client.on('notification', () => this.#wakeAll());
        await client.query('LISTEN sallyport_changes');
        attempt = 0;
        this.#wakeAll();
        await lost;
      } catch {
        // Not reachable: try again below.
      }
      await client.end().catch(() => undefined);
      const pause = RECONNECT_MS[Math.min(attempt, RECONNECT_MS.length - 1)] ?? 5_000;
      attempt += 1;
      await delay(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
