import type { Database } from '../store/postgres/client.ts';

/** What is known of the bundle of another trust domain. Times in ms since the epoch. */
export interface StoredBundle {
  readonly trustDomain: string;
  /** The settings that it was fetched by. */
  readonly basis: string;
  /** The newest document that was ever fetched; null when none was. */
  readonly document: string | null;
  readonly fetchedAt: number | null;
  readonly attemptedAt: number;
  /** Why the last attempt failed; null when it did not. */
  readonly failure: string | null;
}

export async function readFederatedBundles(database: Database): Promise<StoredBundle[]> {
  const rows = await database.federatedBundle.findMany();
  return rows.map((row) => ({ ...row, fetchedAt: row.fetchedAt?.getTime() ?? null, attemptedAt: row.attemptedAt.getTime() }));
}

export async function saveFederatedBundle(database: Database, bundle: StoredBundle): Promise<void> {
  const { trustDomain, basis, document, failure } = bundle;
  const data = { basis, document, failure, fetchedAt: bundle.fetchedAt === null ? null : new Date(bundle.fetchedAt), attemptedAt: new Date(bundle.attemptedAt) };
  await database.federatedBundle.upsert({ where: { trustDomain }, create: { trustDomain, ...data }, update: data });
}

/** Forgets trust domains that nobody federates with any more. */
export async function deleteFederatedBundles(database: Database, trustDomains: readonly string[]): Promise<void> {
  await database.federatedBundle.deleteMany({ where: { trustDomain: { in: [...trustDomains] } } });
}
