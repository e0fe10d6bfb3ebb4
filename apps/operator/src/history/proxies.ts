import { createHash, randomBytes } from 'node:crypto';
import type { CoverageInterval, Window } from '@sallyport/shared/mesh';
import type { ReportRequest } from '@sallyport/shared/push';
import type { Proxy } from '../generated/prisma/client.ts';
import type { Database, Transaction } from '../store/postgres/client.ts';
import { addDenies, addFlows } from './flows.ts';
import { addShadows } from './shadows.ts';

const TOKEN_LIFETIME_MS = 10 * 60_000;
/** Reports follow each other exactly; more than this between two of one process is a gap. */
const SEAM_MS = 250;

const digest = (token: string) => createHash('sha256').update(token).digest('hex');

/** Mints a single-use join token for a proxy. @returns the token, which is not stored, and its expiry */
export async function mintJoinToken(database: Database, proxy: string, role: string, now: number): Promise<{ token: string; expiresAt: Date }> {
  const token = `spj_${randomBytes(24).toString('base64url')}`;
  const expiresAt = new Date(now + TOKEN_LIFETIME_MS);
  await database.joinToken.deleteMany({ where: { expiresAt: { lt: new Date(now) } } });
  await database.joinToken.create({ data: { hash: digest(token), proxy, role, expiresAt } });
  return { token, expiresAt };
}

/** Uses up a join token. @returns false when it is unknown, used, expired or for another proxy or role */
export async function redeemJoinToken(transaction: Transaction, token: string, proxy: string, role: string, now: number): Promise<boolean> {
  // One statement, so that two racing joins cannot both see the token unused.
  const used = await transaction.joinToken.updateMany({
    where: { hash: digest(token), proxy, role, usedAt: null, expiresAt: { gt: new Date(now) } },
    data: { usedAt: new Date(now) },
  });
  return used.count === 1;
}

/** Enrols a proxy's machine key; a proxy that joins again replaces its key, and has acknowledged no bundle yet. */
export async function enrolProxy(transaction: Transaction, name: string, role: string, machineKey: string, now: number): Promise<void> {
  const data = { role, machineKey, enrolledAt: new Date(now) };
  await transaction.proxy.upsert({ where: { name }, create: { name, ...data }, update: { role, machineKey, bundleSequence: null } });
}

/** What came of a report: taken, taken before, or out of order. */
export type ReportOutcome = 'accepted' | 'duplicate' | 'unknown-proxy';

/**
 * Takes a report exactly once: counts, denies, coverage and the proxy's own state in one transaction with the sequence
 * number that proves it was taken.
 */
export async function acceptReport(database: Database, proxy: string, report: ReportRequest, now: number): Promise<ReportOutcome> {
  return database.$transaction(async (transaction) => {
    const [row] = await transaction.$queryRaw<{ epoch: string | null; last_seq: number }[]>`
      SELECT epoch, last_seq FROM proxies WHERE name = ${proxy} FOR UPDATE`;
    if (!row) return 'unknown-proxy';
    if (row.epoch === report.epoch && report.seq <= row.last_seq) return 'duplicate';
    await addFlows(transaction, report.flows);
    await addDenies(transaction, report.denies);
    await addShadows(transaction, proxy, report.shadows, report.to);
    await extendCoverage(transaction, proxy, report, row.epoch === report.epoch);
    await transaction.proxy.update({
      where: { name: proxy },
      data: {
        epoch: report.epoch,
        lastSeq: report.seq,
        lastReport: new Date(now),
        svids: report.svids,
        configVersion: report.configVersion,
        configAgeSeconds: report.configAgeSeconds,
      },
    });
    return 'accepted';
  });
}

/**
 * A report proves [from, to). It continues the last stretch when the same process reported up to `from`; what lies
 * between processes, or was dropped, stays a gap and is never filled in.
 */
async function extendCoverage(transaction: Transaction, proxy: string, report: ReportRequest, sameProcess: boolean): Promise<void> {
  // What was dropped before this report's own span breaks the seam to the last one.
  const from = report.from;
  const last = await transaction.coverage.findFirst({ where: { proxy }, orderBy: { to: 'desc' } });
  const seamless = sameProcess && report.droppedFrom === null && last !== null && Math.abs(from - last.to.getTime()) <= SEAM_MS;
  if (seamless) {
    await transaction.coverage.update({ where: { id: last.id }, data: { to: new Date(report.to) } });
    return;
  }
  await transaction.coverage.create({ data: { proxy, from: new Date(from), to: new Date(report.to) } });
}

/** Stretches of coverage that touch the window. */
export async function readCoverage(database: Database, window: Window): Promise<CoverageInterval[]> {
  const rows = await database.coverage.findMany({ where: { to: { gt: new Date(window.from) }, from: { lt: new Date(window.to) } }, orderBy: { from: 'asc' } });
  return rows.map((row) => ({ proxy: row.proxy, from: row.from.getTime(), to: row.to.getTime() }));
}

/** All enrolled proxies by name. */
export async function readProxies(database: Database): Promise<Proxy[]> {
  return database.proxy.findMany({ orderBy: { name: 'asc' } });
}

/** Notes which proxies acknowledged a bundle. It outlives their connection: they keep the bundle on their own disk. */
export async function acknowledgeBundle(database: Database, proxies: readonly string[], sequence: number): Promise<void> {
  const behind = { OR: [{ bundleSequence: null }, { bundleSequence: { lt: BigInt(sequence) } }] };
  await database.proxy.updateMany({ where: { name: { in: [...proxies] }, ...behind }, data: { bundleSequence: BigInt(sequence) } });
}

/** Names of proxies, among those that are live, that have not acknowledged a bundle. Live: it holds an SVID that has not ended. */
export async function laggingProxies(database: Database, sequence: number, now: number): Promise<string[]> {
  const [proxies, live] = await Promise.all([
    database.proxy.findMany({ where: { OR: [{ bundleSequence: null }, { bundleSequence: { lt: BigInt(sequence) } }] }, orderBy: { name: 'asc' }, select: { name: true } }),
    database.certificate.findMany({ where: { notAfter: { gt: new Date(now) } }, distinct: ['proxy'], select: { proxy: true } }),
  ]);
  const holders = new Set(live.map(({ proxy }) => proxy));
  return proxies.map(({ name }) => name).filter((name) => holders.has(name));
}
