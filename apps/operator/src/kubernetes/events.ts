import { createHash } from 'node:crypto';
import type { KubeClient } from './client.ts';
import type { KubeObject } from './list-watch.ts';
import { microTime } from './micro-time.ts';

/** The reporting controller of all our Events. */
const CONTROLLER = 'sallyport.dev/operator';
/** events.k8s.io/v1: `note` has at most 1 kB. */
const NOTE_BYTES = 1024;
/** What the API server forgets after an hour is a new series for us too. */
const SERIES_MS = 3_600_000;
/** client-go's: one object may have 25 Events at once and one more every five minutes. */
const BURST = 25;
const REFILL_MS = 300_000;
const MAX_SERIES = 2_000;
const MAX_WAITING = 1_000;

export interface EventReport {
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in CamelCase, such as `PolicyConflicted`. */
  readonly reason: string;
  /** What was done, in CamelCase, such as `Reconcile`. */
  readonly action: string;
  readonly note: string;
}

interface Series {
  readonly path: string;
  readonly name: string;
  readonly begun: number;
  count: number;
}

/**
 * Tells people of what happens to an object, where `kubectl describe` shows it. The same thing again counts up its Event
 * instead of making another; an object that is told of too often, and more than there is room for, is left out: Events are
 * for people, and nothing depends on them. Never throws and never holds anybody up.
 */
export class EventWriter {
  readonly #client: KubeClient;
  readonly #instance: string;
  readonly #trouble: (error: unknown) => void;
  readonly #now: () => number;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();

  /** @param options `instance` is this replica's name */
  constructor(options: { client: KubeClient; instance: string; now: () => number; trouble: (error: unknown) => void }) {
    this.#client = options.client;
    this.#instance = options.instance;
    this.#now = options.now;
    this.#trouble = options.trouble;
  }

  /** Tells it soon. */
  report(event: EventReport): void {
    if (this.#waiting >= MAX_WAITING) return;
    this.#waiting += 1;
    const at = this.#now();
    // One after the other, so that a count never overtakes the Event that it counts up.
    this.#tail = this.#tail
      .then(() => this.#write(event, at))
      .catch(this.#trouble)
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  /** Resolves when all that was told so far is written or given up. */
  flushed(): Promise<void> {
    return this.#tail;
  }

  async #write(event: EventReport, at: number): Promise<void> {
    const { metadata } = event.regarding;
    const key = JSON.stringify([metadata.uid, event.type, event.reason, event.action, event.note]);
    const series = this.#series.get(key);
    if (!this.#allowed(metadata.uid, at)) return;
    if (series && at - series.begun < SERIES_MS) {
      series.count += 1;
      const body = { series: { count: series.count, lastObservedTime: microTime(at) } };
      await this.#client.request({ method: 'PATCH', path: `${series.path}/${series.name}`, contentType: 'application/merge-patch+json', body });
      return;
    }
    const path = `/apis/events.k8s.io/v1/namespaces/${metadata.namespace ?? 'default'}/events`;
    const name = `${metadata.name.slice(0, 200)}.${createHash('sha256').update(`${this.#instance} ${at} ${key}`).digest('hex').slice(0, 16)}`;
    keep(this.#series, key, { path, name, begun: at, count: 1 });
    try {
      await this.#client.request({ method: 'POST', path, body: this.#body(event, name, at) });
    } catch (error) {
      // There is nothing to count up.
      this.#series.delete(key);
      throw error;
    }
  }

  #body({ regarding, type, reason, action, note }: EventReport, name: string, at: number): object {
    const { apiVersion, kind, metadata } = regarding;
    return {
      apiVersion: 'events.k8s.io/v1', kind: 'Event',
      metadata: { name, namespace: metadata.namespace ?? 'default' },
      eventTime: microTime(at), reportingController: CONTROLLER, reportingInstance: this.#instance,
      regarding: { apiVersion, kind, namespace: metadata.namespace, name: metadata.name, uid: metadata.uid, resourceVersion: metadata.resourceVersion },
      type, reason, action, note: shortened(note),
    };
  }

  #allowed(uid: string, at: number): boolean {
    const bucket = this.#buckets.get(uid) ?? { tokens: BURST, at };
    const tokens = Math.min(BURST, bucket.tokens + (at - bucket.at) / REFILL_MS);
    keep(this.#buckets, uid, { tokens: tokens < 1 ? tokens : tokens - 1, at });
    return tokens >= 1;
  }
}

/** Keeps the newest entries of a map and drops the one that was set longest ago. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= MAX_SERIES) return;
    map.delete(oldest);
  }
}

/** Cut to the limit in bytes, between characters. */
function shortened(note: string): string {
  const bytes = Buffer.from(note);
  return bytes.length <= NOTE_BYTES ? note : `${bytes.subarray(0, NOTE_BYTES - 8).toString().replace(/\uFFFD+$/, '')}…`;
}
