import { randomUUID } from 'node:crypto';
import { canonicalJson } from '@sallyport/shared/mesh';
import { type Kind, parseResource, type Resource, type ResourceOf, type Status } from '@sallyport/shared/resources';
import { Prisma, type Resource as Row } from '../../generated/prisma/client.ts';
import { mergeOwned } from '../ownership.ts';
import { type ApplyResult, ConflictError, keyOf, NotFoundError, type ResourceKey, type ResourceStore, type StoreEvent, type StoreWrite, type WriteContext } from '../ports.ts';
import type { Database, Transaction } from './client.ts';
import { carryTransitions } from '../transitions.ts';
import { ownedOf, storedOf, toResource } from './rows.ts';
import type { ChangeFeed } from './watch.ts';

/** Called inside the writing transaction, so that no write can exist without its record. */
export type RecordWrite = (transaction: Transaction, write: StoreWrite) => Promise<void>;

/** Ends a dry run by rolling the transaction back with its results. */
class DryRun extends Error {
  readonly results: ApplyResult[];
  constructor(results: ApplyResult[]) {
    super('dry run');
    this.results = results;
  }
}

/** {@link ResourceStore} on PostgreSQL: the store of universal mode. */
export class PostgresStore implements ResourceStore {
  readonly #database: Database;
  readonly #feed: ChangeFeed;
  readonly #record: RecordWrite;
  readonly #now: () => number;

  constructor(options: { database: Database; feed: ChangeFeed; record: RecordWrite; now: () => number }) {
    this.#database = options.database;
    this.#feed = options.feed;
    this.#record = options.record;
    this.#now = options.now;
  }

  async get(key: ResourceKey): Promise<Resource | null> {
    const row = await this.#database.resource.findUnique({ where: { kind_namespace_name: key } });
    return row && toResource(row);
  }

  async list<K extends Kind>(kind: K, namespace?: string): Promise<{ items: ResourceOf<K>[]; revision: string }> {
    const where = namespace === undefined ? { kind } : { kind, namespace };
    // Repeatable read: the list and its revision belong to one snapshot, or a watch from there would miss a change.
    const [rows, head] = await this.#database.$transaction(
      [
        this.#database.resource.findMany({ where, orderBy: [{ namespace: 'asc' }, { name: 'asc' }] }),
        this.#database.storeRevision.findUniqueOrThrow({ where: { id: 1 } }),
      ],
      { isolationLevel: Prisma.TransactionIsolationLevel.RepeatableRead },
    );
    return { items: rows.map((row) => toResource(row) as ResourceOf<K>), revision: String(head.revision) };
  }

  async apply(objects: readonly Resource[], context: WriteContext, dryRun = false): Promise<ApplyResult[]> {
    try {
      return await this.#database.$transaction(async (transaction) => {
        const results: ApplyResult[] = [];
        for (const object of objects) results.push(await this.#applyOne(transaction, object, context));
        if (dryRun) throw new DryRun(results);
        return results;
      });
    } catch (error) {
      if (error instanceof DryRun) return error.results;
      throw error;
    }
  }

  async #applyOne(transaction: Transaction, object: Resource, context: WriteContext): Promise<ApplyResult> {
    const key = keyOf(object);
    // Taken first, so that two writers of one object queue here and neither merges into what the other replaces.
    const revision = await nextRevision(transaction);
    const row = await transaction.resource.findUnique({ where: { kind_namespace_name: key } });
    checkVersion(key, row, object.metadata.resourceVersion);
    const time = new Date(this.#now()).toISOString();
    const merged = mergeOwned(row && storedOf(row), ownedOf(object), context.manager, context.force ?? false, time);
    const before = row && toResource(row);
    if (row && before && canonicalJson(merged.owned) === canonicalJson(storedOf(row).owned)) {
      await transaction.resource.update({ where: { kind_namespace_name: key }, data: { managedFields: json(merged.claims) } });
      await returnRevision(transaction);
      return { object: before, action: 'unchanged' };
    }
    const content = { labels: json(merged.owned.labels), annotations: json(merged.owned.annotations), spec: json(merged.owned.spec), managedFields: json(merged.claims), revision };
    const specChanged = !row || canonicalJson(row.spec) !== canonicalJson(merged.owned.spec);
    const saved = await transaction.resource.upsert({
      where: { kind_namespace_name: key },
      create: { ...key, ...content, uid: randomUUID(), generation: 1, createdAt: new Date(this.#now()) },
      update: { ...content, ...(specChanged ? { generation: { increment: 1 } } : {}) },
    });
    const after = toResource(saved);
    // The merge of several managers' fields must itself be a valid object.
    parseResource(after);
    await appendChange(transaction, row ? 'Modified' : 'Added', revision, after);
    await this.#record(transaction, { context, action: row ? 'update' : 'create', key, before, after });
    return { object: after, action: row ? 'configured' : 'created' };
  }

  async writeStatus(key: ResourceKey, status: Status): Promise<void> {
    await this.#database.$transaction(async (transaction) => {
      const revision = await nextRevision(transaction);
      const row = await transaction.resource.findUnique({ where: { kind_namespace_name: key } });
      if (!row) throw new NotFoundError(describe(key));
      const next = carryTransitions(row.status as Status | null, status);
      if (canonicalJson(next) === canonicalJson(row.status)) {
        await returnRevision(transaction);
        return;
      }
      const saved = await transaction.resource.update({ where: { kind_namespace_name: key }, data: { status: json(next), revision } });
      await appendChange(transaction, 'Modified', revision, toResource(saved));
    });
  }

  async delete(key: ResourceKey, context: WriteContext, resourceVersion?: string): Promise<void> {
    await this.#database.$transaction(async (transaction) => {
      const revision = await nextRevision(transaction);
      const row = await transaction.resource.findUnique({ where: { kind_namespace_name: key } });
      if (!row) throw new NotFoundError(`${describe(key)} does not exist`);
      checkVersion(key, row, resourceVersion);
      await transaction.resource.delete({ where: { kind_namespace_name: key } });
      const before = toResource(row);
      await appendChange(transaction, 'Deleted', revision, before);
      await this.#record(transaction, { context, action: 'delete', key, before, after: null });
    });
  }

  async revision(): Promise<string> {
    const head = await this.#database.storeRevision.findUniqueOrThrow({ where: { id: 1 } });
    return String(head.revision);
  }

  watch(from: string, signal: AbortSignal): AsyncIterable<StoreEvent> {
    return this.#feed.watch(from, signal);
  }
}

/**
 * The next revision. The row lock is held to the end of the transaction, so that revisions become visible in order: a
 * bare sequence would let a later revision commit first and a watcher step over the earlier one.
 */
async function nextRevision(transaction: Transaction): Promise<bigint> {
  const head = await transaction.storeRevision.update({ where: { id: 1 }, data: { revision: { increment: 1 } } });
  return head.revision;
}

async function returnRevision(transaction: Transaction): Promise<void> {
  await transaction.storeRevision.update({ where: { id: 1 }, data: { revision: { decrement: 1 } } });
}

async function appendChange(transaction: Transaction, type: 'Added' | 'Modified' | 'Deleted', revision: bigint, object: Resource): Promise<void> {
  await transaction.change.create({ data: { revision, type, ...keyOf(object), object: json(object) } });
  // Only a wake-up: the payload limit is 8,000 bytes, and a listener that was away reads the table anyway.
  await transaction.$executeRaw`SELECT pg_notify('sallyport_changes', ${String(revision)})`;
}

function checkVersion(key: ResourceKey, row: Row | null, wanted: string | undefined): void {
  if (wanted === undefined) return;
  if (String(row?.revision) !== wanted) {
    throw new ConflictError(`${describe(key)} is at resourceVersion ${row ? String(row.revision) : '(none)'}, not ${wanted}; read it again and repeat the change`);
  }
}

function describe(key: ResourceKey): string {
  return `${key.kind} ${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}`;
}

function json(value: unknown): Prisma.InputJsonValue {
  return value as Prisma.InputJsonValue;
}
