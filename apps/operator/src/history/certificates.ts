import type { Certificate } from '../generated/prisma/client.ts';
import type { IssuedSvid } from '../ca/authority.ts';
import type { Database } from '../store/postgres/client.ts';

/** Writes down an issued SVID; an SVID that could not be recorded is not handed out. */
export async function recordCertificate(
  database: Database,
  issued: { svid: IssuedSvid; spkiHash: string; proxy: string; workload: { namespace: string; name: string } | null; attestation: string; now: number },
): Promise<void> {
  const { svid } = issued;
  await database.certificate.create({
    data: {
      serial: svid.serial,
      spiffeId: svid.spiffeId,
      issuer: svid.issuer,
      notBefore: new Date(svid.notBefore),
      notAfter: new Date(svid.notAfter),
      renewAt: new Date(svid.renewAt),
      spkiHash: issued.spkiHash,
      proxy: issued.proxy,
      namespace: issued.workload?.namespace ?? null,
      workload: issued.workload?.name ?? null,
      attestation: issued.attestation,
      issuedAt: new Date(issued.now),
    },
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
