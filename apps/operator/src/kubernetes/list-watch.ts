import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type KubeClient, KubeError, type KubeRequest } from './client.ts';

/** The server sends a bookmark about once a minute; three times that without a byte is a dead connection. */
const IDLE_MS = 180_000;
/** The server ends a watch after this; shorter than what etcd keeps of history, so that a quiet watch stays young. */
const SHORTEST_S = 300;
const GRACE_MS = 30_000;
const PAGE = 500;
const FIRST_WAIT_MS = 200;
const MAX_WAIT_MS = 30_000;

/** An object as the API server has it: everything in it is kept. */
export const kubeObject = z.looseObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  metadata: z.looseObject({ name: z.string().default(''), namespace: z.string().optional(), uid: z.string().default(''), resourceVersion: z.string().default('') }),
});
export type KubeObject = z.infer<typeof kubeObject>;

/** What is listed and watched. */
export interface Source {
  readonly client: KubeClient;
  /** Of a collection, such as `/api/v1/pods`. */
  readonly path: string;
  /** Such as a labelSelector. */
  readonly query?: KubeRequest['query'];
  /** Objects in a page of a list; 500 unless told. */
  readonly pageSize?: number;
  /** After so long without a byte a watch counts as dead; three minutes unless told. */
  readonly idleMs?: number;
  /** Told of every failure that is waited out. */
  readonly trouble: (error: unknown) => void;
}

const listBody = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }), items: z.array(kubeObject).nullable() });
const watchLine = z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']), object: z.looseObject({}) });

export type KubeEvent =
  | { readonly type: 'Added' | 'Modified' | 'Deleted'; readonly object: KubeObject }
  | { readonly type: 'Bookmark'; readonly resourceVersion: string }
  /** What comes after the asked-for version is not kept any more: list again. The stream ends after it. */
  | { readonly type: 'Gone' };

/** A part of a list. With the last one comes the version at which all were read, null before. */
export type Page = { readonly items: readonly KubeObject[]; readonly resourceVersion: string | null };

/**
 * A collection, page by page. The `continue` of a page expires with etcd's history: that is a KubeError of status 410, and
 * the list has to be begun again.
 *
 * @throws KubeError
 */
export async function* pages({ client, path, query, pageSize = PAGE }: Omit<Source, 'trouble'>, signal?: AbortSignal): AsyncGenerator<Page> {
  let next: string | undefined;
  do {
    const { items, metadata } = listBody.parse(await client.request({ method: 'GET', path, query: { ...query, limit: pageSize, continue: next }, ...(signal ? { signal } : {}) }));
    next = metadata.continue === '' ? undefined : metadata.continue;
    yield { items: items ?? [], resourceVersion: next === undefined ? metadata.resourceVersion : null };
  } while (next !== undefined);
}

/** All objects of a collection and the version at which they were read. @throws KubeError */
export async function listAll(client: KubeClient, path: string): Promise<{ items: KubeObject[]; resourceVersion: string }> {
  for (;;) {
    try {
      const items: KubeObject[] = [];
      let version = '';
      for await (const page of pages({ client, path })) {
        items.push(...page.items);
        version = page.resourceVersion ?? version;
      }
      return { items, resourceVersion: version };
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

/**
 * Every change of a collection after `from`, once and in order, across lost connections, silent ones, errors of the server
 * and its restarts, until `signal` aborts. Follows Kubernetes' "Efficient detection of changes": bookmarks move the place
 * from which a broken watch goes on, and 410 ends the stream with Gone.
 */
export async function* watchFrom(source: Source, from: string, signal: AbortSignal): AsyncGenerator<KubeEvent> {
  const backoff = new Backoff(signal);
  let at = from;
  while (!signal.aborted) {
    try {
      for await (const event of once(source, at, signal)) {
        backoff.reset();
        if (event.type !== 'Gone') at = event.type === 'Bookmark' ? event.resourceVersion : event.object.metadata.resourceVersion;
        yield event;
      }
      // A watch that ends as soon as it is opened must not be opened in a tight circle.
      if (!backoff.fresh) await backoff.wait(null);
      backoff.opened();
    } catch (error) {
      if (signal.aborted) return;
      if (isGone(error)) {
        yield { type: 'Gone' };
        return;
      }
      source.trouble(error);
      await backoff.wait(error);
    }
  }
}

/** Waits between tries: twice as long each time, with jitter, and at least as long as the server asks. */
export class Backoff {
  readonly #signal: AbortSignal;
  #next = FIRST_WAIT_MS;
  #fresh = true;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** True since something worked. */
  get fresh(): boolean {
    return this.#fresh;
  }

  /** Something worked. */
  reset(): void {
    this.#next = FIRST_WAIT_MS;
    this.#fresh = true;
  }

  /** Something was begun and ended without a result yet. */
  opened(): void {
    this.#fresh = false;
  }

  async wait(error: unknown): Promise<void> {
    const asked = error instanceof KubeError ? (error.retryAfter ?? 0) : 0;
    const wait = Math.max(asked, this.#next * (0.5 + Math.random() / 2));
    this.#next = Math.min(MAX_WAIT_MS, this.#next * 2);
    await pause(wait, this.#signal);
  }
}

/** Ends early when aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // Aborted: whoever waits looks at the signal next.
  }
}

/** True for `410 Gone` and its twin in a stream, `Expired`. */
export function isGone(error: unknown): boolean {
  return error instanceof KubeError && error.status === 410;
}

async function* once({ client, path, query, idleMs = IDLE_MS }: Source, resourceVersion: string, signal: AbortSignal): AsyncGenerator<KubeEvent> {
  const timeoutSeconds = Math.round(SHORTEST_S * (1 + Math.random()));
  // The server should end it itself; a middlebox that keeps a dead one alive with its own bytes is not waited for.
  const total = AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000 + GRACE_MS)]);
  for await (const line of client.lines(path, { ...query, watch: 1, allowWatchBookmarks: true, resourceVersion, timeoutSeconds }, idleMs, total)) {
    const { type, object } = watchLine.parse(line);
    if (type === 'ERROR') {
      const { code } = z.looseObject({ code: z.number().default(0) }).parse(object);
      throw new KubeError(code, JSON.stringify(object), undefined);
    }
    const parsed = kubeObject.parse(object);
    if (type === 'BOOKMARK') yield { type: 'Bookmark', resourceVersion: parsed.metadata.resourceVersion };
    else yield { type: type === 'ADDED' ? 'Added' : type === 'MODIFIED' ? 'Modified' : 'Deleted', object: parsed };
  }
}
