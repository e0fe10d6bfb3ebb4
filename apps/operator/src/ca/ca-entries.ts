import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { activeEntry, type CaDocument, type CaEntry, type Parent } from '@sallyport/shared/pki';

/** Numbers begin at the time of day: after a loss of the state directory they are still greater than what proxies acknowledged. */
export function emptyDocument(trustDomain: string, now: number): CaDocument {
  return { version: 1, trustDomain, sequence: Math.max(1, Math.floor(now / 1000)), entries: [], earlierIssuers: [] };
}

/** The name of an entry's key file. */
export function keyName(id: string): string {
  return `${id}.key`;
}

export function newEntryId(): string {
  return randomBytes(4).toString('hex');
}

/** An entry for a certificate, in state prepared. */
export function entryOf(parts: { id: string; role: CaEntry['role']; root: string; parent: Parent; pem: string; chain?: readonly string[]; upstream?: string; now: number }): CaEntry {
  const certificate = new X509Certificate(parts.pem);
  const { id, role, root, parent, pem, now } = parts;
  return {
    id, role, root, parent, pem,
    state: 'prepared',
    subject: commonName(certificate.subject),
    chain: [...(parts.chain ?? [])],
    fingerprint: certificate.fingerprint256,
    upstream: parts.upstream ?? null,
    createdAt: now,
    notAfter: certificate.validToDate.getTime(),
    since: now,
    publishedAt: null,
    sequence: null,
    leavesEnd: 0,
  };
}

/** CN of an X509Certificate's subject text. */
function commonName(subject: string): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? subject.split('\n').join(', ');
}

/** SHA-256 over the text of certificates, in hexadecimal. */
export function digestOf(blocks: readonly string[]): string {
  return createHash('sha256').update(blocks.join('').replace(/\s/g, '')).digest('hex');
}

/** The entry that signs SVIDs with its root, or null. */
export function signingPair(document: CaDocument): { issuer: CaEntry; root: CaEntry } | null {
  const issuer = activeEntry(document, 'issuer');
  const root = issuer && document.entries.find((entry) => entry.id === issuer.root);
  return issuer && root ? { issuer, root } : null;
}
