import type { IssuedSvid } from '../ca/authority.ts';
import type { Certificate } from '../generated/prisma/client.ts';
import type { Database } from '../store/postgres/client.ts';
import { Batches } from './batches.ts';
import { GENESIS, HashChain, hashOfRow } from './chain.ts';

/** Any constant: names the advisory lock under which the chain grows. */
const CHAIN_LOCK = 7_411_903;
const MOST_AT_ONCE = 200;

/** An SVID with what it was issued for. */
export interface Issued {
  readonly svid: IssuedSvid;
  readonly spkiHash: string;
  readonly proxy: string;
  readonly workload: { readonly namespace: string; readonly name: string } | null;
  readonly attestation: string;
  readonly now: number;
}

type Plain = Omit<Certificate, 'seq' | 'previousHash' | 'hash'>;

/** The hash-chained record of issuance. An SVID that could not be recorded is not handed out. */
export class CertificateLedger {
  readonly #database: Database;
  readonly #rows: Batches<Plain>;

  constructor(database: Database) {
    this.#database = database;
    this.#rows = new Batches((rows) => this.#append(rows, false));
  }

  /** Resolves when the row is kept. */
  record(issued: Issued): Promise<void> {
    return this.#rows.add(rowOf(issued));
  }

  /** Chains the rows of versions that had no chain, oldest first. */
  async chainEarlier(): Promise<void> {
    for (;;) {
      const rows = await this.#database.certificate.findMany({ where: { seq: null }, orderBy: [{ issuedAt: 'asc' }, { serial: 'asc' }], take: MOST_AT_ONCE });
      if (rows.length === 0) return;
      await this.#append(rows, true);
    }
  }

  async #append(rows: readonly Plain[], present: boolean): Promise<void> {
    await this.#database.$transaction(async (transaction) => {
      await transaction.$executeRaw`SELECT pg_advisory_xact_lock(${CHAIN_LOCK})`;
      let last = await transaction.certificate.findFirst({ where: { seq: { not: null } }, orderBy: { seq: 'desc' } });
      const linked = rows.map((row): Certificate => {
        const link = { ...row, seq: (last?.seq ?? 0n) + 1n, previousHash: last?.hash ?? GENESIS };
        last = { ...link, hash: hashOfRow(link) };
        return last;
      });
      if (!present) await transaction.certificate.createMany({ data: linked });
      else for (const { serial, seq, previousHash, hash } of linked) await transaction.certificate.update({ where: { serial }, data: { seq, previousHash, hash } });
    });
  }
}

function rowOf({ svid, spkiHash, proxy, workload, attestation, now }: Issued): Plain {
  return {
    serial: svid.serial,
    spiffeId: svid.spiffeId,
    issuer: svid.issuer,
    notBefore: new Date(svid.notBefore),
    notAfter: new Date(svid.notAfter),
    renewAt: new Date(svid.renewAt),
    spkiHash,
    proxy,
    namespace: workload?.namespace ?? null,
    workload: workload?.name ?? null,
    attestation,
    issuedAt: new Date(now),
  };
}

/** Checks the record of issuance. */
export function certificateChain(database: Database): HashChain<Certificate> {
  return new HashChain<Certificate>({
    after: (seq, take) => database.certificate.findMany({ where: { seq: { gt: seq } }, orderBy: { seq: 'asc' }, take }),
    at: (seq) => database.certificate.findUnique({ where: { seq } }),
    hashOf: hashOfRow,
  });
}

/** The newest SVID of each workload and of each proxy itself. */
export async function newestCertificates(database: Database): Promise<Certificate[]> {
  return database.certificate.findMany({
    distinct: ['proxy', 'namespace', 'workload'],
    orderBy: [{ proxy: 'asc' }, { namespace: 'asc' }, { workload: 'asc' }, { issuedAt: 'desc' }],
  });
}

/** SVIDs that were valid at some time in [from, to), oldest first. */
export async function certificatesBetween(database: Database, from: Date, to: Date): Promise<Certificate[]> {
  return database.certificate.findMany({ where: { notAfter: { gte: from }, issuedAt: { lt: to } }, orderBy: [{ issuedAt: 'asc' }, { serial: 'asc' }] });
}
