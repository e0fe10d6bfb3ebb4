import type { Database } from '../store/postgres/client.ts';

/** A pause up to this long between two stretches of coverage is a restart; a longer one is a gap. */
const RESTART_MS = 15_000;

/** What bears on how long a namespace has been clean. Times in ms since the epoch. */
export interface CleanFacts {
  /** For each proxy the start of the coverage that has no gap up to now; absent when it never reported. */
  readonly coveredSince: ReadonlyMap<string, number>;
  /** When plaintext was last taken in a namespace. */
  readonly lastPlaintext: ReadonlyMap<string, number>;
  /** When a critical signal about a namespace was last open. */
  readonly lastCritical: ReadonlyMap<string, number>;
}

/** Reads the facts for all namespaces at once. */
export async function readCleanFacts(database: Database, now: number): Promise<CleanFacts> {
  const [intervals, plaintext, signals] = await Promise.all([
    database.coverage.findMany({ orderBy: { to: 'desc' } }),
    database.$queryRaw<{ namespace: string; at: Date }[]>`
      SELECT namespace, max(last_seen) AS at FROM flow_buckets
      WHERE side = 'inbound' AND mtls = 'plaintext' AND verdict = 'allowed' GROUP BY namespace`,
    database.signal.findMany({ where: { severity: 'critical', namespace: { not: null } }, select: { namespace: true, closedAt: true } }),
  ]);
  const lastCritical = new Map<string, number>();
  for (const { namespace, closedAt } of signals) {
    if (namespace !== null) lastCritical.set(namespace, Math.max(lastCritical.get(namespace) ?? 0, closedAt?.getTime() ?? now));
  }
  const coveredSince = new Map<string, number>();
  for (const { proxy, from, to } of intervals) {
    const since = coveredSince.get(proxy);
    if (since === undefined ? now - to.getTime() <= RESTART_MS : since - to.getTime() <= RESTART_MS) coveredSince.set(proxy, from.getTime());
  }
  return { coveredSince, lastPlaintext: new Map(plaintext.map((row) => [row.namespace, row.at.getTime()])), lastCritical };
}

/**
 * Days for which a namespace had unbroken telemetry, no plaintext call and no critical signal.
 *
 * @returns null when no proxy serves it or one of them has no coverage now: then nothing is known
 */
export function cleanDays(facts: CleanFacts, namespace: string, proxies: readonly string[], now: number): number | null {
  const starts = proxies.map((proxy) => facts.coveredSince.get(proxy));
  if (starts.length === 0 || starts.includes(undefined)) return null;
  const since = Math.max(...starts.map((start) => start ?? now), facts.lastPlaintext.get(namespace) ?? 0, facts.lastCritical.get(namespace) ?? 0);
  return (now - since) / 86_400_000;
}
