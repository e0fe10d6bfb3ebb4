import { createHash } from 'node:crypto';
import { canonicalJson } from '@sallyport/shared/mesh';
import type { AuditEntry as AuditEntryView } from '@sallyport/shared/api';
import type { AuditEntry as Row, Prisma } from '../generated/prisma/client.ts';
import type { Database, Transaction } from '../store/postgres/client.ts';
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

const GENESIS = '0'.repeat(64);
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

/** Verifies the chain and remembers how far it got, so that a page view does not read a year of entries again. */
export class AuditChain {
  readonly #database: Database;
  #seq = 0n;
  #hash = GENESIS;
  #broken = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Checks every entry since the last call. A chain that was found broken stays broken. */
  async verify(): Promise<'intact' | 'broken'> {
    while (!this.#broken) {
      const rows = await this.#database.auditEntry.findMany({ where: { seq: { gt: this.#seq } }, orderBy: { seq: 'asc' }, take: 500 });
      for (const row of rows) this.#check(row);
      if (rows.length < 500) break;
    }
    if (!this.#broken) await this.#checkHead();
    return this.#broken ? 'broken' : 'intact';
  }

  #check(row: Row): void {
    if (row.seq !== this.#seq + 1n || row.previousHash !== this.#hash || row.hash !== hashOf(row)) this.#broken = true;
    this.#seq = row.seq;
    this.#hash = row.hash;
  }

  /** A truncated log still chains; the head that we saw must still be there. */
  async #checkHead(): Promise<void> {
    if (this.#seq === 0n) return;
    const head = await this.#database.auditEntry.findUnique({ where: { seq: this.#seq } });
    if (head?.hash !== this.#hash) this.#broken = true;
  }
}
