import type { Kind, Resource, ResourceOf, Status } from '@sallyport/shared/resources';

/** Names one object. `namespace` is '' for kinds that belong to none. */
export interface ResourceKey {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

/** Who writes, for ownership of fields and for the audit log. */
export interface WriteContext {
  /** Field manager, as in Kubernetes' server-side apply. */
  readonly manager: string;
  readonly actor: string;
  readonly via: 'console' | 'cli' | 'api' | 'system';
  /** Take over fields that another manager owns with another value. */
  readonly force?: boolean;
}

export type StoreEvent =
  | { readonly type: 'Added' | 'Modified' | 'Deleted'; readonly revision: string; readonly object: Resource }
  | { readonly type: 'Bookmark'; readonly revision: string }
  /** The asked-for revision was pruned: list again. The stream ends after it. */
  | { readonly type: 'Gone' };

export interface ApplyResult {
  readonly object: Resource;
  readonly action: 'created' | 'configured' | 'unchanged';
}

/** A write that changed something, for the audit log. */
export interface StoreWrite {
  readonly context: WriteContext;
  readonly action: 'create' | 'update' | 'delete';
  readonly key: ResourceKey;
  readonly before: Resource | null;
  readonly after: Resource | null;
}

/** The object is not in the store. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
}

/** Somebody else changed the object or owns a field; the message names which, and nothing was written. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

/** The store cannot be asked now; whether a write that was under way took place is not known. */
export class StoreAwayError extends Error {
  override readonly name = 'StoreAwayError';
}

/**
 * Where resources live. One conformance suite (`conformance.ts`) holds every adapter to these words.
 * Revisions are opaque text; they grow in commit order. Writes of status never touch spec, and the other way round.
 */
export interface ResourceStore {
  /** @returns the object or null */
  get(key: ResourceKey): Promise<Resource | null>;
  /** All objects of a kind, by namespace and name, and the revision at which they were read. */
  list<K extends Kind>(kind: K, namespace?: string): Promise<{ items: ResourceOf<K>[]; revision: string }>;
  /**
   * Server-side apply of whole objects, all or none, in order. Fields that this manager set before and leaves out now
   * are removed unless another manager owns them too. `metadata.resourceVersion`, when given, must be the current one.
   * `dryRun` checks everything and writes nothing.
   *
   * @throws ConflictError when a field belongs to another manager or a resourceVersion is stale
   */
  apply(objects: readonly Resource[], context: WriteContext, dryRun?: boolean): Promise<ApplyResult[]>;
  /** Replaces the status when it differs; needs no ownership, bumps no generation. @throws NotFoundError */
  writeStatus(key: ResourceKey, status: Status): Promise<void>;
  /** @throws NotFoundError; ConflictError when `resourceVersion` is given and stale */
  delete(key: ResourceKey, context: WriteContext, resourceVersion?: string): Promise<void>;
  /** The newest committed revision. */
  revision(): Promise<string>;
  /**
   * Every change after `from` once and in order, then live ones, across lost connections, until `signal` aborts.
   * A Bookmark tells that all up to its revision was delivered.
   */
  watch(from: string, signal: AbortSignal): AsyncIterable<StoreEvent>;
}

/** The key of an object. */
export function keyOf(object: Resource): ResourceKey {
  return { kind: object.kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name };
}
