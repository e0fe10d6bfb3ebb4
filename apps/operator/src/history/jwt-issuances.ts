import type { JwtIssuance } from '../generated/prisma/client.ts';
import type { Database } from '../store/postgres/client.ts';
import { Batches } from './batches.ts';
import { GENESIS, HashChain, hashOfRow } from './chain.ts';

/** Any constant: names the advisory lock under which the chain grows. */
const CHAIN_LOCK = 7_411_904;
const PERIOD_MS = 3_600_000;
/** Periods that are remembered. Beyond them a token only makes a row that need not have been. */
const MOST_PERIODS = 10_000;

/** A JWT-SVID as it is about to be handed out; times in ms since the epoch. */
export interface IssuedJwt {
  readonly spiffeId: string;
  readonly audience: readonly string[];
  readonly kid: string;
  readonly proxy: string;
  readonly workload: { readonly namespace: string; readonly name: string };
  readonly attestation: string;
  readonly now: number;
  readonly expiresAt: number;
}

type Plain = Omit<JwtIssuance, 'seq' | 'previousHash' | 'hash'>;

/**
 * The hash-chained record of JWT-SVIDs. They live for minutes and are asked for again and again, so a row stands for an
 * hour: from its time on, tokens for this workload and audience were signed with this key. It is kept before the first of
 * them is handed out; those that follow within the hour need none.
 */
export class JwtLedger {
  readonly #periods = new Map<string, { readonly until: number; readonly kept: Promise<void> }>();
  readonly #rows: Batches<Plain>;

  constructor(database: Database) {
    this.#rows = new Batches((rows) => append(database, rows));
  }

  /** Resolves when a row covers the token. */
  record(issued: IssuedJwt): Promise<void> {
    const { spiffeId, audience, kid, proxy, workload, now } = issued;
    const key = JSON.stringify([spiffeId, audience, kid, proxy, workload.namespace, workload.name]);
    const known = this.#periods.get(key);
    if (known && now < known.until) return known.kept;
    const kept = this.#rows.add(rowOf(issued));
    const period = { until: now + PERIOD_MS, kept };
    // To the end, so that the oldest stand first.
    this.#periods.delete(key);
    this.#periods.set(key, period);
    kept.catch(() => {
      if (this.#periods.get(key) === period) this.#periods.delete(key);
    });
    for (const [oldest] of this.#periods) {
      if (this.#periods.size <= MOST_PERIODS) break;
      this.#periods.delete(oldest);
    }
    return kept;
  }
}

function rowOf({ spiffeId, audience, kid, proxy, workload, attestation, now, expiresAt }: IssuedJwt): Plain {
  const life = expiresAt - now;
  return { spiffeId, audience: [...audience], kid, proxy, namespace: workload.namespace, workload: workload.name, attestation, issuedAt: new Date(now), notAfter: new Date(now + PERIOD_MS + life) };
}

async function append(database: Database, rows: readonly Plain[]): Promise<void> {
  await database.$transaction(async (transaction) => {
    await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${CHAIN_LOCK})`;
    let last = await transaction.jwtIssuance.findFirst({ orderBy: { seq: 'desc' } });
    const data = rows.map((row): JwtIssuance => {
      const link = { ...row, seq: (last?.seq ?? 0n) + 1n, previousHash: last?.hash ?? GENESIS };
      last = { ...link, hash: hashOfRow(link) };
      return last;
    });
    await transaction.jwtIssuance.createMany({ data });
  });
}

/** Checks the record of JWT-SVIDs. */
export function jwtChain(database: Database): HashChain<JwtIssuance> {
  return new HashChain<JwtIssuance>({
    after: (seq, take) => database.jwtIssuance.findMany({ where: { seq: { gt: seq } }, orderBy: { seq: 'asc' }, take }),
    at: (seq) => database.jwtIssuance.findUnique({ where: { seq } }),
    hashOf: hashOfRow,
  });
}
