import { createHash, randomBytes } from 'node:crypto';
import type { CoverageInterval, Window } from '@sallyport/shared/mesh';
import type { ReportRequest } from '@sallyport/shared/push';
import type { PodEvidence } from '../ca/attestation.ts';
import type { Proxy } from '../generated/prisma/client.ts';
import type { Database, Transaction } from '../store/postgres/client.ts';
import { addDenies, addFlows } from './flows.ts';
import { addShadows } from './shadows.ts';

const TOKEN_LIFETIME_MS = 10 * 60_000;

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
  const data = { role, machineKey, podUid: null, node: null, serviceAccount: null };
  await transaction.proxy.upsert({ where: { name }, create: { name, ...data, enrolledAt: new Date(now) }, update: { ...data, bundleSequence: null } });
}

/** Enrols the proxy of a pod that attested; one of another pod by the same name has acknowledged no bundle yet. */
export async function enrolPod(database: Database, name: string, role: string, { uid, node, serviceAccount }: PodEvidence, now: number): Promise<void> {
  const data = { role, machineKey: null, podUid: uid, node, serviceAccount };
  await database.$transaction(async (transaction) => {
    await transaction.proxy.updateMany({ where: { name, OR: [{ podUid: null }, { podUid: { not: uid } }] }, data: { bundleSequence: null } });
    await transaction.proxy.upsert({ where: { name }, create: { name, ...data, enrolledAt: new Date(now) }, update: data });
  });
}

/** What came of a report: taken, taken before, or out of order. */
export type ReportOutcome = 'accepted' | 'duplicate' | 'unknown-proxy';

/**
 * Takes a report exactly once: counts, denies, coverage and the proxy's own state in one transaction with the sequence
 * number that proves it was taken. Numbers belong to a process, and two processes of a proxy may report in turn: while one
 * drains, its successor is up.
 */
export async function acceptReport(database: Database, proxy: string, report: ReportRequest, now: number): Promise<ReportOutcome> {
  const { epoch, seq } = report;
  return database.$transaction(async (transaction) => {
    // The lock makes reports of one proxy wait for each other: one that is sent again must see what became of the first.
    const [row] = await transaction.$queryRaw<unknown[]>`SELECT name FROM proxies WHERE name = ${proxy} FOR UPDATE`;
    if (!row) return 'unknown-proxy';
    const key = { proxy_epoch: { proxy, epoch } };
    const taken = await transaction.reportEpoch.findUnique({ where: key });
    if (taken !== null && seq <= taken.lastSeq) return 'duplicate';
    await addFlows(transaction, report.flows);
    await addDenies(transaction, report.denies);
    await addShadows(transaction, proxy, report.shadows, report.to);
    await extendCoverage(transaction, proxy, report);
    const reached = { lastSeq: seq, lastAt: new Date(now) };
    await transaction.reportEpoch.upsert({ where: key, create: { proxy, epoch, ...reached }, update: reached });
    const { svids, configVersion, configAgeSeconds } = report;
    await transaction.proxy.update({ where: { name: proxy }, data: { lastReport: new Date(now), svids, configVersion, configAgeSeconds } });
    return 'accepted';
  });
}

/**
 * A report proves [from, to), or [from, droppedFrom) when it is incomplete from then on. It continues the stretch that its
 * process reported up to `from`, since intervals of one process follow each other exactly; whatever lies between stays a gap
 * and is never filled in.
 */
async function extendCoverage(transaction: Transaction, proxy: string, { epoch, from, to, droppedFrom }: ReportRequest): Promise<void> {
  const end = droppedFrom !== null && droppedFrom >= from ? Math.min(to, droppedFrom) : to;
  if (end <= from) return;
  const last = await transaction.coverage.findFirst({ where: { proxy, epoch }, orderBy: { to: 'desc' } });
  if (last?.to.getTime() === from) await transaction.coverage.update({ where: { id: last.id }, data: { to: new Date(end) } });
  else await transaction.coverage.create({ data: { proxy, epoch, from: new Date(from), to: new Date(end) } });
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
