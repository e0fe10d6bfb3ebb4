import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type KubeClient, KubeError } from '../../kubernetes/client.ts';

/** The server sends a bookmark about once a minute; three times that without a byte is a dead connection. */
const IDLE_MS = 180_000;
/** The server ends a watch after this; shorter than what etcd keeps of history, so that a quiet watch stays young. */
const SHORTEST_S = 300;
const LIMIT = 500;
const FIRST_WAIT_MS = 200;
const MAX_WAIT_MS = 30_000;

/** An object as the API server has it: everything in it is kept. */
export const kubeObject = z.looseObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  metadata: z.looseObject({ name: z.string().default(''), namespace: z.string().optional(), uid: z.string().default(''), resourceVersion: z.string().default('') }),
});
export type KubeObject = z.infer<typeof kubeObject>;

const listBody = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().optional() }), items: z.array(kubeObject).nullable() });
const watchLine = z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']), object: z.looseObject({}) });

export type KubeEvent =
  | { readonly type: 'Added' | 'Modified' | 'Deleted'; readonly object: KubeObject }
  | { readonly type: 'Bookmark'; readonly resourceVersion: string }
  /** What comes after the asked-for version is not kept any more: list again. The stream ends after it. */
  | { readonly type: 'Gone' };

/**
 * All objects under a path, page by page, and the version at which they were read.
 *
 * @throws KubeError; a list whose pages expired while it was read is begun again
 */
export async function listAll(client: KubeClient, path: string): Promise<{ items: KubeObject[]; resourceVersion: string }> {
  const items: KubeObject[] = [];
  let next: string | undefined;
  for (;;) {
    try {
      const page = listBody.parse(await client.request({ method: 'GET', path, query: { limit: LIMIT, continue: next } }));
      items.push(...(page.items ?? []));
      next = page.metadata.continue === '' ? undefined : page.metadata.continue;
      if (next === undefined) return { items, resourceVersion: page.metadata.resourceVersion };
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 410) throw error;
      items.length = 0;
      next = undefined;
    }
  }
}

/**
 * Every change under a path after `from`, once and in order, across lost connections, errors of the server and its
 * restarts, until `signal` aborts. Follows Kubernetes' "Efficient detection of changes": bookmarks move the place from which
 * a broken watch goes on, and 410 ends the stream with Gone.
 *
 * @param trouble told of every failure that is waited out
 */
export async function* watchFrom(client: KubeClient, path: string, from: string, signal: AbortSignal, trouble: (error: unknown) => void): AsyncGenerator<KubeEvent> {
  let at = from;
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      for await (const event of once(client, path, at, signal)) {
        wait = FIRST_WAIT_MS;
        if (event.type !== 'Gone') at = event.type === 'Bookmark' ? event.resourceVersion : event.object.metadata.resourceVersion;
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof KubeError && error.status === 410) {
        yield { type: 'Gone' };
        return;
      }
      trouble(error);
      const asked = error instanceof KubeError ? (error.retryAfter ?? 0) : 0;
      await delay(Math.max(asked, wait * (0.5 + Math.random() / 2)), undefined, { signal }).catch(() => undefined);
      wait = Math.min(MAX_WAIT_MS, wait * 2);
    }
  }
}

async function* once(client: KubeClient, path: string, resourceVersion: string, signal: AbortSignal): AsyncGenerator<KubeEvent> {
  const timeoutSeconds = Math.round(SHORTEST_S * (1 + Math.random()));
  for await (const line of client.lines(path, { watch: 1, allowWatchBookmarks: true, resourceVersion, timeoutSeconds }, IDLE_MS, signal)) {
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
