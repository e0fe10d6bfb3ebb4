import { createHash } from 'node:crypto';
import { edgeIdentity } from '@sallyport/shared/graph';
import type { DenyEvent, Flow, Window } from '@sallyport/shared/mesh';
import type { Deny, Prisma } from '../generated/prisma/client.ts';
import { Prisma as Sql } from '../generated/prisma/client.ts';
import type { Database, Transaction } from '../store/postgres/client.ts';

/** Width of a time bucket (ADR 0004): a window's edge is exact to this. */
const BUCKET_MS = 10_000;

/** Start of the bucket that an instant is in (ms since the epoch). */
export function bucketOf(at: number): number {
  return Math.floor(at / BUCKET_MS) * BUCKET_MS;
}

/** The parts of a flow that make it one kind of call; everything else is counted. */
function dimensions(flow: Flow): unknown[] {
  const { reporter, side, source, destination: to, protocol, method, path, mtls, verdict, reason, policy } = flow;
  return [reporter, side, source.principal, source.ip, to.namespace, to.workload, to.service, to.port, protocol, method, path, mtls, verdict, reason, policy];
}

/** Adds counts to their buckets inside the transaction that accepts the report. */
export async function addFlows(transaction: Transaction, flows: readonly Flow[]): Promise<void> {
  const rows = mergeRows(flows);
  for (let start = 0; start < rows.length; start += 500) {
    const values = rows.slice(start, start + 500).map(({ bucket, key, flow }) => {
      const d = flow.destination;
      return Sql.sql`(${new Date(bucket)}, ${key}, ${flow.reporter}, ${flow.side}, ${flow.source.principal}, ${flow.source.ip}, ${d.namespace}, ${d.workload}, ${d.service}, ${d.port}, ${flow.protocol}, ${flow.method}, ${flow.path}, ${flow.samplePath}, ${flow.mtls}, ${flow.verdict}, ${flow.reason}, ${flow.policy}, ${flow.count}, ${flow.bytesReceived}, ${flow.bytesSent}, ${new Date(flow.firstSeen)}, ${new Date(flow.lastSeen)})`;
    });
    await transaction.$executeRaw`
      INSERT INTO flow_buckets (bucket, key, reporter, side, principal, ip, namespace, workload, service, port, protocol, method, path, sample_path, mtls, verdict, reason, policy, count, bytes_received, bytes_sent, first_seen, last_seen)
      VALUES ${Sql.join(values)}
      ON CONFLICT (bucket, key) DO UPDATE SET
        count = flow_buckets.count + EXCLUDED.count,
        bytes_received = flow_buckets.bytes_received + EXCLUDED.bytes_received,
        bytes_sent = flow_buckets.bytes_sent + EXCLUDED.bytes_sent,
        first_seen = LEAST(flow_buckets.first_seen, EXCLUDED.first_seen),
        last_seen = GREATEST(flow_buckets.last_seen, EXCLUDED.last_seen)`;
  }
  await noteEdges(transaction, flows);
}

/** One row for each bucket and kind: a statement may not touch the same row twice. */
function mergeRows(flows: readonly Flow[]): { bucket: number; key: string; flow: Flow }[] {
  const merged = new Map<string, { bucket: number; key: string; flow: Flow }>();
  for (const flow of flows) {
    const bucket = bucketOf(flow.lastSeen);
    const key = createHash('sha256').update(JSON.stringify(dimensions(flow))).digest('base64url').slice(0, 22);
    const id = `${bucket} ${key}`;
    const before = merged.get(id);
    merged.set(id, { bucket, key, flow: before ? addCounts(before.flow, flow) : flow });
  }
  return [...merged.values()];
}

function addCounts(a: Flow, b: Flow): Flow {
  return {
    ...a,
    count: a.count + b.count,
    bytesReceived: a.bytesReceived + b.bytesReceived,
    bytesSent: a.bytesSent + b.bytesSent,
    firstSeen: Math.min(a.firstSeen, b.firstSeen),
    lastSeen: Math.max(a.lastSeen, b.lastSeen),
  };
}

async function noteEdges(transaction: Transaction, flows: readonly Flow[]): Promise<void> {
  const first = new Map<string, number>();
  for (const flow of flows) {
    if (flow.side === 'inbound') first.set(edgeIdentity(flow), Math.min(first.get(edgeIdentity(flow)) ?? Infinity, flow.firstSeen));
  }
  const data = [...first].map(([key, at]) => ({ key, firstSeen: new Date(at) }));
  if (data.length > 0) await transaction.edgeSeen.createMany({ data, skipDuplicates: true });
}

interface SummedRow {
  reporter: string; side: Flow['side']; principal: string | null; ip: string; namespace: string; workload: string | null;
  service: string | null; port: number; protocol: Flow['protocol']; method: string | null; path: string | null;
  sample_path: string | null; mtls: Flow['mtls']; verdict: Flow['verdict']; reason: Flow['reason']; policy: string | null;
  count: bigint; bytes_received: bigint; bytes_sent: bigint; first_seen: Date; last_seen: Date;
}

/** All flows of a window, summed over its buckets. The window's start is widened to a bucket's edge. */
export async function readFlows(database: Database, window: Window): Promise<Flow[]> {
  const from = new Date(bucketOf(window.from));
  const rows = await database.$queryRaw<SummedRow[]>`
    SELECT reporter, side, principal, ip, namespace, workload, service, port, protocol, method, path,
      min(sample_path) AS sample_path, mtls, verdict, reason, policy, sum(count)::bigint AS count,
      sum(bytes_received)::bigint AS bytes_received, sum(bytes_sent)::bigint AS bytes_sent,
      min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM flow_buckets WHERE bucket >= ${from} AND bucket < ${new Date(window.to)} AND last_seen >= ${new Date(window.from)}
    GROUP BY reporter, side, principal, ip, namespace, workload, service, port, protocol, method, path, mtls, verdict, reason, policy`;
  return rows.map(toFlow);
}

function toFlow(row: SummedRow): Flow {
  const { reporter, side, protocol, method, path, mtls, verdict, reason, policy } = row;
  return {
    reporter, side, protocol, method, path, mtls, verdict, reason, policy,
    source: { principal: row.principal, ip: row.ip },
    destination: { namespace: row.namespace, workload: row.workload, service: row.service, port: row.port },
    samplePath: row.sample_path,
    count: Number(row.count),
    bytesReceived: Number(row.bytes_received),
    bytesSent: Number(row.bytes_sent),
    firstSeen: row.first_seen.getTime(),
    lastSeen: row.last_seen.getTime(),
  };
}

/** First sighting of each edge, by `edgeIdentity`; ms since the epoch. */
export async function readEdgesSeen(database: Database): Promise<Map<string, number>> {
  const rows = await database.edgeSeen.findMany();
  return new Map(rows.map((row) => [row.key, row.firstSeen.getTime()]));
}

/** Stores deny events inside the transaction that accepts the report. */
export async function addDenies(transaction: Transaction, denies: readonly DenyEvent[]): Promise<void> {
  if (denies.length === 0) return;
  const data: Prisma.DenyCreateManyInput[] = denies.map(({ source, destination, at, ...rest }) => ({ ...rest, ...source, ...destination, at: new Date(at) }));
  await transaction.deny.createMany({ data });
}

/** Deny events of a window, newest first, and how many there are in all. */
export async function readDenies(database: Database, window: Window, limit: number, namespace?: string): Promise<{ total: number; items: DenyEvent[] }> {
  const where = { at: { gte: new Date(window.from), lt: new Date(window.to) }, ...(namespace === undefined ? {} : { namespace }) };
  const [total, rows] = await Promise.all([
    database.deny.count({ where }),
    database.deny.findMany({ where, orderBy: [{ at: 'desc' }, { id: 'desc' }], take: limit }),
  ]);
  return { total, items: rows.map(toDeny) };
}

function toDeny(row: Deny): DenyEvent {
  const { reporter, method, path, policy, traceId } = row;
  return {
    at: row.at.getTime(), reporter, method, path, policy, traceId,
    reason: row.reason as DenyEvent['reason'],
    source: { principal: row.principal, ip: row.ip },
    destination: { namespace: row.namespace, workload: row.workload, service: row.service, port: row.port },
  };
}

/** Deletes flows, shadow matches, denies and coverage that ended before `before`, and the numbers of reports taken before. @returns how many rows went */
export async function pruneTelemetry(database: Database, before: Date): Promise<number> {
  const results = await database.$transaction([
    database.flowBucket.deleteMany({ where: { bucket: { lt: before } } }),
    database.shadowBucket.deleteMany({ where: { bucket: { lt: before } } }),
    database.deny.deleteMany({ where: { at: { lt: before } } }),
    database.coverage.deleteMany({ where: { to: { lt: before } } }),
    database.reportEpoch.deleteMany({ where: { lastAt: { lt: before } } }),
  ]);
  return results.reduce((sum, result) => sum + result.count, 0);
}
