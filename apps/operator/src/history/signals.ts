import { randomUUID } from 'node:crypto';
import type { SignalView } from '@sallyport/shared/api';
import type { DetectedSignal } from '@sallyport/shared/signals';
import type { Signal } from '../generated/prisma/client.ts';
import type { Database } from '../store/postgres/client.ts';

/** Signals that hold now, the gravest and newest first. */
export async function openSignals(database: Database): Promise<SignalView[]> {
  const rows = await database.signal.findMany({ where: { closedAt: null }, orderBy: { openedAt: 'desc' } });
  const rank = { critical: 0, warning: 1, info: 2 };
  return rows.map(toView).sort((a, b) => rank[a.severity] - rank[b.severity]);
}

/** The newest signals that ended, at most `limit`. */
export async function closedSignals(database: Database, limit: number): Promise<SignalView[]> {
  const rows = await database.signal.findMany({ where: { closedAt: { not: null } }, orderBy: { closedAt: 'desc' }, take: limit });
  return rows.map(toView);
}

/**
 * Brings the stored signals in line with what was detected: opens new ones, refreshes those that still hold, closes the
 * rest. @returns true when one opened or closed
 */
export async function reconcileSignals(database: Database, detected: readonly DetectedSignal[], now: number): Promise<boolean> {
  const open = await database.signal.findMany({ where: { closedAt: null } });
  const present = new Map(detected.map((signal) => [signal.key, signal]));
  const known = new Set(open.map((row) => row.key));
  const ended = open.filter((row) => !present.has(row.key));
  const fresh = [...present.values()].filter((signal) => !known.has(signal.key));
  const kept = open.flatMap((row) => {
    const signal = present.get(row.key);
    return signal ? [database.signal.update({ where: { id: row.id }, data: content(signal) })] : [];
  });
  await database.$transaction([
    ...kept,
    database.signal.updateMany({ where: { id: { in: ended.map((row) => row.id) } }, data: { closedAt: new Date(now) } }),
    database.signal.createMany({ data: fresh.map((signal) => ({ id: randomUUID(), key: signal.key, kind: signal.kind, openedAt: new Date(now), ...content(signal) })) }),
  ]);
  return ended.length + fresh.length > 0;
}

function content(signal: DetectedSignal) {
  const { severity, title, detail, subject, namespace, count, techniques, link, at } = signal;
  return { severity, title, detail, subject, namespace, count, techniques: [...techniques], link, lastSeen: new Date(at) };
}

function toView(row: Signal): SignalView {
  const { key: _key, openedAt, lastSeen, closedAt, ...rest } = row;
  return {
    ...rest,
    kind: row.kind as SignalView['kind'],
    severity: row.severity as SignalView['severity'],
    state: closedAt === null ? 'open' : 'closed',
    openedAt: openedAt.toISOString(),
    lastSeen: lastSeen.toISOString(),
    closedAt: closedAt?.toISOString() ?? null,
  };
}
