import { type PublicJwk } from '@sallyport/shared/push';
import { Prisma } from '../generated/prisma/client.ts';
import type { Database } from '../store/postgres/client.ts';

/** What is known of one source of keys. Times in ms since the epoch. */
export interface StoredKeys {
  readonly source: string;
  /** The newest keys that were ever fetched; null when none were. */
  readonly keys: readonly PublicJwk[] | null;
  readonly fetchedAt: number | null;
  readonly attemptedAt: number;
  /** Why the last attempt failed; null when it did not. */
  readonly failure: string | null;
}

/** All stored key sets. */
export async function readKeySets(database: Database): Promise<StoredKeys[]> {
  const rows = await database.keySet.findMany();
  return rows.map((row) => ({ ...row, keys: row.keys as StoredKeys['keys'], fetchedAt: row.fetchedAt?.getTime() ?? null, attemptedAt: row.attemptedAt.getTime() }));
}

/** Writes what is known of a source. */
export async function saveKeySet(database: Database, { source, keys, fetchedAt, attemptedAt, failure }: StoredKeys): Promise<void> {
  const data = {
    keys: keys === null ? Prisma.DbNull : (keys as unknown as Prisma.InputJsonValue),
    fetchedAt: fetchedAt === null ? null : new Date(fetchedAt),
    attemptedAt: new Date(attemptedAt),
    failure,
  };
  await database.keySet.upsert({ where: { source }, create: { source, ...data }, update: data });
}

/** Forgets sources that no rule names any more. */
export async function deleteKeySets(database: Database, sources: readonly string[]): Promise<void> {
  await database.keySet.deleteMany({ where: { source: { in: [...sources] } } });
}
