import type { Certificate, CertificatesView } from '@sallyport/shared/api';
import { overdueAt } from '@sallyport/shared/signals';
import type { Authority } from '../../ca/authority.ts';
import type { Certificate as Row, Proxy } from '../../generated/prisma/client.ts';
import { presentCertificates } from '../../history/certificates.ts';
import { readProxies } from '../../history/proxies.ts';
import { meshOf } from '../mesh-state.ts';
import { observe, type Sources } from '../observation.ts';

/** Coverage is shown for this long back: the inventory is about now. */
const COVERAGE_MS = 5 * 60_000;

interface HeldSvid {
  readonly serial: string;
}

/** Inventory of the newest SVID of every workload that is in the mesh now, and of every proxy. */
export async function certificateItems(sources: Sources): Promise<Certificate[]> {
  const [rows, proxies] = await Promise.all([presentCertificates(sources.database, suppliedElsewhere(sources)), readProxies(sources.database)]);
  const held = new Set(proxies.flatMap((proxy) => (proxy.svids as unknown as HeldSvid[]).map((svid) => svid.serial.toLowerCase())));
  const now = sources.now();
  return rows.filter((row) => isCurrent(row, sources, proxies)).map((row) => certificateView(row, held, now));
}

/** Whether workloads get their SVIDs from a Workload API, and not from us. */
export function suppliedElsewhere({ cache, trustDomain }: Pick<Sources, 'cache' | 'trustDomain'>): boolean {
  return meshOf(cache, trustDomain).spec.ca.spire !== undefined;
}

/** A workload that left a proxy leaves certificates behind that nobody serves any more. */
function isCurrent(row: Row, sources: Sources, proxies: readonly Proxy[]): boolean {
  if (row.workload === null) return proxies.some((proxy) => proxy.name === row.proxy);
  return sources.cache.all('Workload').some((item) => item.metadata.namespace === row.namespace && item.metadata.name === row.workload && item.spec.proxy === row.proxy);
}

/** One recorded SVID as of `now`; `held` are the serials that proxies say they serve. */
export function certificateView(row: Row, held: ReadonlySet<string>, now: number): Certificate {
  const issued = row.issuedAt.getTime();
  const end = row.notAfter.getTime();
  const overdue = now > overdueAt({ notBefore: issued, notAfter: end });
  const served = held.has(row.serial.toLowerCase());
  return {
    spiffeId: row.spiffeId,
    serial: row.serial,
    issuer: row.issuer,
    notBefore: row.notBefore.toISOString(),
    notAfter: row.notAfter.toISOString(),
    // From issuance: the minute before it that allows for skewed clocks is not part of a certificate's working life.
    lifetimeUsed: Math.max(0, (now - issued) / (end - issued)),
    workload: row.workload,
    namespace: row.namespace,
    proxy: row.proxy,
    nextRotation: row.renewAt.toISOString(),
    state: now >= end ? 'expired' : overdue ? 'overdue' : served ? 'served' : 'recorded',
  };
}

/** Share of workloads whose certificate is older than half of the interval between rotations; null without any. */
export function pastHalfRotationInterval(items: readonly Certificate[]): number | null {
  const workloads = items.filter((item) => item.workload !== null);
  if (workloads.length === 0) return null;
  // Rotation comes at half of the lifetime, so half of the interval is a quarter of it.
  return workloads.filter((item) => item.lifetimeUsed > 0.25).length / workloads.length;
}

export async function certificatesView(sources: Sources, authority: Authority): Promise<CertificatesView> {
  const [items, observation] = await Promise.all([certificateItems(sources), observe(sources, COVERAGE_MS)]);
  const { root, issuing } = authority.certificates();
  return {
    items,
    pastHalfRotationInterval: pastHalfRotationInterval(items),
    issuer: { subject: flat(issuing.subject), notAfter: issuing.validToDate.toISOString(), serial: issuing.serialNumber.toLowerCase() },
    root: { subject: flat(root.subject), notAfter: root.validToDate.toISOString(), fingerprint: root.fingerprint256 },
    coverage: observation.coverage,
  };
}

function flat(subject: string): string {
  return subject.split('\n').join(', ');
}
