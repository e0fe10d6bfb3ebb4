import { X509Certificate } from 'node:crypto';
import type { ForeignBundleEntry } from '@sallyport/shared/api';
import type { SpiffeBundle } from '@sallyport/shared/pki';

/** Every entry of the bundles of other trust domains; what ends first stands first in its domain. */
export function foreignEntries(bundles: ReadonlyMap<string, SpiffeBundle>, now: number): ForeignBundleEntry[] {
  const domains = [...bundles].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return domains.flatMap(([trustDomain, { roots, jwtKeys }]) => {
    const rows = roots.map((pem) => rootEntry(trustDomain, pem, now)).toSorted((a, b) => ((a.notAfter ?? '') < (b.notAfter ?? '') ? -1 : 1));
    return [...rows, ...jwtKeys.map(({ kid }) => ({ trustDomain, use: 'jwt-svid' as const, subject: kid, fingerprint: null, notBefore: null, notAfter: null, lifetimeUsed: null }))];
  });
}

function rootEntry(trustDomain: string, pem: string, now: number): ForeignBundleEntry {
  const { subject, fingerprint256, validFromDate, validToDate } = new X509Certificate(pem);
  const [begin, end] = [validFromDate.getTime(), validToDate.getTime()];
  return {
    trustDomain,
    use: 'x509-svid',
    // One line, as names are shown elsewhere; it is theirs, and may be anything.
    subject: subject.split('\n').join(', ').slice(0, 200),
    fingerprint: fingerprint256,
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
    lifetimeUsed: Math.max(0, (now - begin) / Math.max(1, end - begin)),
  };
}
