import type { ShadowCount, Window } from '@sallyport/shared/mesh';
import { Prisma as Sql } from '../generated/prisma/client.ts';
import type { Database, Transaction } from '../store/postgres/client.ts';
import { bucketOf } from './flows.ts';

/** Adds what policies that do not decide matched, inside the transaction that accepts the report. */
export async function addShadows(transaction: Transaction, reporter: string, shadows: readonly ShadowCount[], at: number): Promise<void> {
  const bucket = new Date(bucketOf(at));
  for (let start = 0; start < shadows.length; start += 500) {
    const values = shadows.slice(start, start + 500).map((each) =>
      Sql.sql`(${bucket}, ${reporter}, ${each.policy}, ${each.action}, ${each.rule}, ${each.namespace}, ${each.workload}, ${each.port}, ${each.count})`);
    await transaction.$executeRaw`
      INSERT INTO shadow_buckets (bucket, reporter, policy, action, rule, namespace, workload, port, count) VALUES ${Sql.join(values)}
      ON CONFLICT (bucket, reporter, policy, rule, namespace, workload, port) DO UPDATE SET count = shadow_buckets.count + EXCLUDED.count, action = EXCLUDED.action`;
  }
}

/** What was matched in a window, by policy, rule, workload and port, the most frequent first. The start is widened to a bucket's edge. */
export async function readShadows(database: Database, window: Window): Promise<ShadowCount[]> {
  const rows = await database.$queryRaw<(Omit<ShadowCount, 'count'> & { count: bigint })[]>`
    SELECT policy, action, rule, namespace, workload, port, sum(count)::bigint AS count FROM shadow_buckets
    WHERE bucket >= ${new Date(bucketOf(window.from))} AND bucket < ${new Date(window.to)}
    GROUP BY policy, action, rule, namespace, workload, port ORDER BY count DESC, policy, rule, namespace, workload, port`;
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}
