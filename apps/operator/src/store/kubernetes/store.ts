import { API_VERSION, InvalidResourceError, type Kind, KINDS, type Resource, type ResourceOf, type Status } from '@sallyport/shared/resources';
import { type ApplyResult, ConflictError, keyOf, NotFoundError, type ResourceKey, type ResourceStore, StoreAwayError, type StoreEvent, type StoreWrite, type WriteContext } from '../ports.ts';
import { carryTransitions } from '../transitions.ts';
import { type KubeClient, KubeError, type KubeRequest } from '../../kubernetes/client.ts';
import { fromKube } from './objects.ts';
import { kubeObject, listAll, watchFrom } from '../../kubernetes/list-watch.ts';

const APPLY = 'application/apply-patch+yaml';
const STATUS_MANAGER = 'sallyport-status';
const ALL_KINDS = Object.keys(KINDS) as Kind[];

/** Called after each write that changed something, with the object before and after. */
export type RecordWrite = (write: StoreWrite) => Promise<void>;

/**
 * {@link ResourceStore} on the CRDs of a cluster: the store of Kubernetes mode.
 *
 * What differs from PostgreSQL, because the API server has no transaction over objects: `apply` of several tries all of
 * them first (a dry run on the server), so that what is refused is refused as a whole; a server that goes away in the
 * middle leaves the first ones applied, and applying again ends it. Order is kept within a kind.
 */
export class KubernetesStore implements ResourceStore {
  readonly #client: KubeClient;
  readonly #record: RecordWrite;
  readonly #trouble: (error: unknown) => void;
  readonly #mayWrite: () => boolean;

  /** @param options `mayWrite` is asked before each write: a replica that lost the lead must not do what it had begun */
  constructor(options: { client: KubeClient; record: RecordWrite; trouble: (error: unknown) => void; mayWrite: () => boolean }) {
    this.#mayWrite = options.mayWrite;
    this.#client = options.client;
    this.#record = options.record;
    this.#trouble = options.trouble;
  }

  async get(key: ResourceKey): Promise<Resource | null> {
    const body = await this.#client.request({ method: 'GET', path: pathOf(key) }).catch(absent);
    return body === null ? null : fromKube(key.kind, kubeObject.parse(body));
  }

  async list<K extends Kind>(kind: K, namespace?: string): Promise<{ items: ResourceOf<K>[]; revision: string }> {
    const { items, resourceVersion } = await listAll(this.#client, collection(kind, namespace ?? ''));
    return { items: items.map((item) => fromKube(kind, item) as ResourceOf<K>).sort(byName), revision: resourceVersion };
  }

  async apply(objects: readonly Resource[], context: WriteContext, dryRun = false): Promise<ApplyResult[]> {
    if (dryRun || objects.length > 1) {
      const tried = await this.#applyAll(objects, context, true);
      if (dryRun) return tried;
    }
    return await this.#applyAll(objects, context, false);
  }

  async #applyAll(objects: readonly Resource[], context: WriteContext, dryRun: boolean): Promise<ApplyResult[]> {
    const results: ApplyResult[] = [];
    for (const object of objects) results.push(await this.#applyOne(object, context, dryRun));
    return results;
  }

  async #applyOne(object: Resource, context: WriteContext, dryRun: boolean): Promise<ApplyResult> {
    const key = keyOf(object);
    const before = await this.get(key);
    const query = { fieldManager: context.manager, force: context.force ?? false, fieldValidation: 'Strict', dryRun: dryRun ? 'All' : undefined };
    const body = await this.#patch({ method: 'PATCH', path: pathOf(key), query, body: toApply(object), contentType: APPLY }, key);
    const after = fromKube(key.kind, kubeObject.parse(body));
    const action = before === null ? 'created' : after.metadata.resourceVersion === before.metadata.resourceVersion ? 'unchanged' : 'configured';
    // A dry run gives no new version: what it would change is seen in the content.
    if (!dryRun && action !== 'unchanged') await this.#record({ context, action: before === null ? 'create' : 'update', key, before, after });
    return { object: after, action: dryRun && before !== null ? compared(before, after) : action };
  }

  async writeStatus(key: ResourceKey, status: Status): Promise<void> {
    const before = await this.get(key);
    if (before === null) throw new NotFoundError(`${describe(key)} does not exist`);
    const next = carryTransitions(before.status ?? null, status);
    const body = { apiVersion: API_VERSION, kind: key.kind, metadata: { name: key.name, ...(key.namespace === '' ? {} : { namespace: key.namespace }) }, status: next };
    await this.#patch({ method: 'PATCH', path: `${pathOf(key)}/status`, query: { fieldManager: STATUS_MANAGER, force: true }, body, contentType: APPLY }, key);
  }

  async delete(key: ResourceKey, context: WriteContext, resourceVersion?: string): Promise<void> {
    const before = await this.get(key);
    if (before === null) throw new NotFoundError(`${describe(key)} does not exist`);
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', ...(resourceVersion === undefined ? {} : { preconditions: { resourceVersion } }) };
    await this.#patch({ method: 'DELETE', path: pathOf(key), body: options }, key);
    await this.#record({ context, action: 'delete', key, before, after: null });
  }

  async revision(): Promise<string> {
    // The API server keeps the history of a kind from the first question about it on: a watch from before would be told Gone.
    // So every kind is asked once for what its history has, and then, without a resourceVersion, for what is in etcd.
    await Promise.all(ALL_KINDS.map((kind) => this.#client.request({ method: 'GET', path: collection(kind, ''), query: { limit: 1, resourceVersion: '0' } })));
    const pages = await Promise.all(ALL_KINDS.map((kind) => this.#client.request({ method: 'GET', path: collection(kind, ''), query: { limit: 1 } })));
    const revisions = pages.map((page) => BigInt(kubeObject.parse(page).metadata.resourceVersion));
    return String(revisions.reduce((low, revision) => (revision < low ? revision : low)));
  }

  async *watch(from: string, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const queue: StoreEvent[] = [];
    let wake: () => void = () => undefined;
    const follow = async (kind: Kind) => {
      for await (const event of watchFrom({ client: this.#client, path: collection(kind, ''), trouble: this.#trouble }, from, both)) {
        queue.push(event.type === 'Bookmark' ? { type: 'Bookmark', revision: event.resourceVersion } : event.type === 'Gone' ? event : toStoreEvent(kind, event));
        wake();
      }
    };
    // What nobody foresaw must not become a kind that is not followed any more: its reader lists again.
    const failed = (error: unknown) => {
      this.#trouble(error);
      queue.push({ type: 'Gone' });
      wake();
    };
    for (const kind of ALL_KINDS) follow(kind).catch(failed);
    both.addEventListener('abort', () => wake());
    try {
      yield* drain(queue, both, (resolve) => {
        wake = resolve;
      });
    } finally {
      stop.abort();
    }
  }

  /** A write, with refusals in the words of the port. */
  async #patch(request: KubeRequest, key: ResourceKey): Promise<unknown> {
    if (!this.#mayWrite()) throw new StoreAwayError('another replica of the operator leads now');
    try {
      return await this.#client.request(request);
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.status === 404) throw new NotFoundError(`${describe(key)}: ${error.message}`);
      if (error.status === 409) throw new ConflictError(conflictText(error));
      if (error.status === 400 || error.status === 422) throw new InvalidResourceError(problemsOf(error, describe(key)));
      if (error.status === 0 || error.status === 429 || error.status >= 500) throw new StoreAwayError(error.message);
      throw error;
    }
  }
}

/** What the watches told, with a Bookmark whenever all of it was handed over. Ends after Gone. */
async function* drain(queue: StoreEvent[], signal: AbortSignal, onWake: (resolve: () => void) => void): AsyncGenerator<StoreEvent> {
  let newest = 0n;
  while (!signal.aborted) {
    const event = queue.shift();
    if (event === undefined) {
      await new Promise<void>((resolve) => {
        onWake(resolve);
        if (queue.length > 0 || signal.aborted) resolve();
      });
      continue;
    }
    if (event.type === 'Gone') {
      yield event;
      return;
    }
    const revision = BigInt(event.revision);
    // Kinds are watched by themselves: a bookmark of a slow one must not look like the way back.
    if (revision > newest) newest = revision;
    if (event.type !== 'Bookmark') yield event;
    if (queue.length === 0) yield { type: 'Bookmark', revision: String(newest) };
  }
}

function toStoreEvent(kind: Kind, { type, object }: { type: 'Added' | 'Modified' | 'Deleted'; object: Parameters<typeof fromKube>[1] }): StoreEvent {
  return { type, revision: object.metadata.resourceVersion, object: fromKube(kind, object) };
}

function toApply({ kind, metadata, spec }: Resource): object {
  const { name, namespace, labels, annotations, resourceVersion } = metadata;
  return { apiVersion: API_VERSION, kind, metadata: { name, namespace, labels: filled(labels), annotations: filled(annotations), resourceVersion }, spec };
}

/** The API server drops an empty map and would take it for a change each time it comes again. */
function filled(map: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> | undefined {
  return map === undefined || Object.keys(map).length === 0 ? undefined : map;
}

function collection(kind: Kind, namespace: string): string {
  const { plural } = KINDS[kind];
  return namespace === '' ? `/apis/${API_VERSION}/${plural}` : `/apis/${API_VERSION}/namespaces/${namespace}/${plural}`;
}

function pathOf({ kind, namespace, name }: ResourceKey): string {
  return `${collection(kind, namespace)}/${name}`;
}

function absent(error: unknown): null {
  if (error instanceof KubeError && error.status === 404) return null;
  throw error;
}

function problemsOf(error: KubeError, resource: string): { resource: string; field: string; message: string }[] {
  if (error.causes.length === 0) return [{ resource, field: '', message: error.message }];
  return error.causes.map(({ field, message }) => ({ resource, field, message }));
}

/** `.spec.ports` and `conflict with "alice" using …` as one sentence that names field, owner and remedy. */
function conflictText(error: KubeError): string {
  const owned = error.causes.filter(({ reason }) => reason === 'FieldManagerConflict');
  if (owned.length === 0) return `${error.message}; read it again and repeat the change`;
  const parts = owned.map(({ field, message }) => `${field.replace(/^\./, '')} is owned by ${/"[^"]*"/.exec(message)?.[0] ?? 'another manager'}`);
  return `${parts.join('; ')}; apply with force to take the fields over`;
}

function compared(before: Resource, after: Resource): ApplyResult['action'] {
  const content = ({ spec, metadata: { labels, annotations } }: Resource) => JSON.stringify([spec, labels ?? {}, annotations ?? {}]);
  return content(before) === content(after) ? 'unchanged' : 'configured';
}

function byName(a: Resource, b: Resource): number {
  const [x, y] = [a, b].map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`) as [string, string];
  return x < y ? -1 : x > y ? 1 : 0;
}

function describe({ kind, namespace, name }: ResourceKey): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}
