import type { PodEvidence } from '../ca/attestation.ts';
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
  /** The pod whose token the proxy attested by. */
  readonly evidence: PodEvidence | null;
  readonly now: number;
}

type Plain = Omit<Certificate, 'seq' | 'previousHash' | 'hash'>;

/** Rows of versions that knew no pods were hashed without these. */
function hashOf({ pod, podUid, node, ...row }: Omit<Certificate, 'hash'> & { hash?: unknown }): string {
  return hashOfRow({ ...row, ...(pod === null ? {} : { pod, podUid, node }) });
}

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
        last = { ...link, hash: hashOf(link) };
        return last;
      });
      if (!present) await transaction.certificate.createMany({ data: linked });
      else for (const { serial, seq, previousHash, hash } of linked) await transaction.certificate.update({ where: { serial }, data: { seq, previousHash, hash } });
    });
  }
}

function rowOf({ svid, spkiHash, proxy, workload, attestation, evidence, now }: Issued): Plain {
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
    pod: evidence && `${evidence.namespace}/${evidence.pod}`,
    podUid: evidence?.uid ?? null,
    node: evidence?.node ?? null,
    issuedAt: new Date(now),
  };
}

/** Checks the record of issuance. */
export function certificateChain(database: Database): HashChain<Certificate> {
  return new HashChain<Certificate>({
    after: (seq, take) => database.certificate.findMany({ where: { seq: { gt: seq } }, orderBy: { seq: 'asc' }, take }),
    at: (seq) => database.certificate.findUnique({ where: { seq } }),
    hashOf,
  });
}

/** The newest SVID of each workload and of each proxy itself. */
async function newestCertificates(database: Database): Promise<Certificate[]> {
  return database.certificate.findMany({
    distinct: ['proxy', 'namespace', 'workload'],
    orderBy: [{ proxy: 'asc' }, { namespace: 'asc' }, { workload: 'asc' }, { issuedAt: 'desc' }],
  });
}

interface ReportedSvid {
  readonly spiffeId: string;
  readonly serial: string;
  readonly notBefore?: number;
  readonly notAfter: number;
  readonly workload: { readonly namespace: string; readonly name: string } | null;
}

/**
 * The present SVID of each workload and proxy: from the record; or, of workloads that a Workload API supplies, as their
 * proxies report them, because nobody else knows.
 *
 * @param external whether a Workload API supplies workloads
 */
export async function presentCertificates(database: Database, external: boolean): Promise<Certificate[]> {
  const recorded = await newestCertificates(database);
  if (!external) return recorded;
  const proxies = await database.proxy.findMany({ select: { name: true, svids: true }, orderBy: { name: 'asc' } });
  const reported = proxies.flatMap(({ name, svids }) => (svids as unknown as readonly ReportedSvid[]).flatMap((svid) => reportedRow(name, svid) ?? []));
  return [...recorded.filter(({ workload }) => workload === null), ...reported];
}

function reportedRow(proxy: string, { spiffeId, serial, notBefore, notAfter, workload }: ReportedSvid): Certificate | null {
  if (notBefore === undefined || workload === null) return null;
  const [begin, end, half] = [new Date(notBefore), new Date(notAfter), new Date((notBefore + notAfter) / 2)];
  const unknown = { spkiHash: '', pod: null, podUid: null, node: null, seq: null, previousHash: null, hash: null };
  return { ...unknown, serial, spiffeId, issuer: 'SPIFFE Workload API', notBefore: begin, notAfter: end, renewAt: half, proxy, namespace: workload.namespace, workload: workload.name, attestation: 'workload-api', issuedAt: begin };
}

/** SVIDs that were valid at some time in [from, to), oldest first. */
export async function certificatesBetween(database: Database, from: Date, to: Date): Promise<Certificate[]> {
  return database.certificate.findMany({ where: { notAfter: { gte: from }, issuedAt: { lt: to } }, orderBy: [{ issuedAt: 'asc' }, { serial: 'asc' }] });
}
