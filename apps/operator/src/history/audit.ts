import { createHash } from 'node:crypto';
import { canonicalJson } from '@sallyport/shared/mesh';
import type { AuditEntry as AuditEntryView } from '@sallyport/shared/api';
import type { AuditEntry as Row, Prisma } from '../generated/prisma/client.ts';
import { GENESIS, HashChain } from './chain.ts';
import type { Database, Transaction } from '../store/postgres/client.ts';
import type { StoreWrite } from '../store/ports.ts';
import type { RecordWrite } from '../store/postgres/store.ts';

/** One thing that somebody did. `before` and `after` are whole objects without server-set noise. */
export interface AuditEvent {
  readonly actor: string;
  readonly via: 'console' | 'cli' | 'api' | 'system';
  readonly action: string;
  readonly resource: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Any constant: names the advisory lock under which the chain grows by one entry at a time. */
const CHAIN_LOCK = 7_411_902;

function hashOf(row: Omit<Row, 'hash'>): string {
  const { seq, at, actor, via, action, resource, before, after, previousHash } = row;
  const text = canonicalJson({ seq: String(seq), at: at.toISOString(), actor, via, action, resource, before, after, previousHash });
  return createHash('sha256').update(text).digest('hex');
}

/** Appends to the chain inside the caller's transaction: either both the write and its record exist, or neither. */
export async function appendAudit(transaction: Transaction, event: AuditEvent, now: number): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${CHAIN_LOCK})`;
  const last = await transaction.auditEntry.findFirst({ orderBy: { seq: 'desc' } });
  const row = {
    seq: (last?.seq ?? 0n) + 1n,
    at: new Date(now),
    actor: event.actor,
    via: event.via,
    action: event.action,
    resource: event.resource,
    before: asJson(event.before),
    after: asJson(event.after),
    previousHash: last?.hash ?? GENESIS,
  };
  const data = { ...row, before: row.before ?? undefined, after: row.after ?? undefined };
  await transaction.auditEntry.create({ data: { ...data, hash: hashOf(row) } as Prisma.AuditEntryCreateInput });
}

/** What JSONB gives back: no undefined, no dates. The hash must be over that, or it could not be checked later. */
function asJson(value: unknown): Prisma.JsonValue {
  return value === null || value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Prisma.JsonValue);
}

/** The store's hook: every write of a resource becomes an entry in the same transaction. */
export function auditWrites(now: () => number): RecordWrite {
  return async (transaction, { context, action, key, before, after }) => {
    const resource = `${key.kind}/${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}`;
    await appendAudit(transaction, { actor: context.actor, via: context.via, action, resource, before, after }, now());
  };
}

/** The same for a store that is not this database: the record follows the write in a transaction of its own. */
export function auditAfterwards(database: Database, now: () => number): (write: StoreWrite) => Promise<void> {
  const record = auditWrites(now);
  return (write) => database.$transaction((transaction) => record(transaction, write));
}

/** Entries newest first, before a sequence number when given, with the next page's number or null. */
export async function readAudit(database: Database, before: bigint | null, limit: number): Promise<{ items: AuditEntryView[]; next: number | null }> {
  const rows = await database.auditEntry.findMany({ ...(before === null ? {} : { where: { seq: { lt: before } } }), orderBy: { seq: 'desc' }, take: limit });
  const last = rows.at(-1);
  return { items: rows.map(toView), next: last && last.seq > 1n ? Number(last.seq) : null };
}

/** Entries of [from, to), oldest first. */
export async function auditBetween(database: Database, from: Date, to: Date): Promise<AuditEntryView[]> {
  const rows = await database.auditEntry.findMany({ where: { at: { gte: from, lt: to } }, orderBy: { seq: 'asc' } });
  return rows.map(toView);
}

function toView(row: Row): AuditEntryView {
  return { ...row, seq: Number(row.seq), at: row.at.toISOString(), via: row.via as AuditEvent['via'] };
}

/** Checks the audit log; kept for the life of the process, so that a page view does not read a year of entries again. */
export function auditChain(database: Database): HashChain<Row> {
  return new HashChain<Row>({
    after: (seq, take) => database.auditEntry.findMany({ where: { seq: { gt: seq } }, orderBy: { seq: 'asc' }, take }),
    at: (seq) => database.auditEntry.findUnique({ where: { seq } }),
    hashOf,
  });
}
