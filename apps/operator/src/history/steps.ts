import { randomUUID } from 'node:crypto';
import type { PeerAuthentication } from '@sallyport/shared/resources';
import type { StrictStep } from '../generated/prisma/client.ts';
import type { Database } from '../store/postgres/client.ts';

const ACTIVE = ['watching-canary', 'watching-namespace'];

/** The newest step of a namespace, or null. */
export async function latestStep(database: Database, namespace: string): Promise<StrictStep | null> {
  return database.strictStep.findFirst({ where: { namespace }, orderBy: { startedAt: 'desc' } });
}

/** Steps that still watch. */
export async function activeSteps(database: Database): Promise<StrictStep[]> {
  return database.strictStep.findMany({ where: { state: { in: ACTIVE } }, orderBy: { startedAt: 'asc' } });
}

/** Starts a record. `before` is what a roll-back restores. */
export async function createStep(
  database: Database,
  step: { namespace: string; canary: string | null; startedBy: string; before: PeerAuthentication | null; now: number; message: string },
): Promise<StrictStep> {
  const at = new Date(step.now);
  return database.strictStep.create({
    data: {
      id: randomUUID(),
      namespace: step.namespace,
      state: step.canary === null ? 'watching-namespace' : 'watching-canary',
      canary: step.canary,
      startedBy: step.startedBy,
      startedAt: at,
      stageStartedAt: at,
      log: [{ at: at.toISOString(), message: step.message }],
      ...(step.before ? { before: step.before } : {}),
    },
  });
}

/** Changes a step and adds a line to its log. */
export async function advanceStep(
  database: Database,
  step: StrictStep,
  change: { state?: string; stageStartedAt?: Date; finishedAt?: Date; refusals?: number; reason?: string },
  message: string | null,
  now: number,
): Promise<void> {
  const log = step.log as { at: string; message: string }[];
  const lines = message === null ? log : [...log, { at: new Date(now).toISOString(), message }];
  await database.strictStep.update({ where: { id: step.id }, data: { ...change, log: lines } });
}

/** Refusals in a namespace since a moment that a step to strict could have caused. */
export async function refusalsSince(database: Database, namespace: string, since: Date): Promise<{ count: number; sources: string[] }> {
  const where = { namespace, at: { gte: since }, reason: { in: ['plaintext-refused', 'peer-not-verified'] } };
  const [count, rows] = await Promise.all([
    database.deny.count({ where }),
    database.deny.findMany({ where, distinct: ['ip', 'principal'], select: { ip: true, principal: true }, take: 5 }),
  ]);
  return { count, sources: rows.map((row) => row.principal ?? row.ip) };
}
