import { X509Certificate } from 'node:crypto';
import { type CaEntry, readCaCertificate, signCertificate } from '@sallyport/shared/pki';
import { issuerName, newSerial, SKEW } from './authority.ts';
import { entryOf, newEntryId } from './ca-entries.ts';
import type { CaStore } from './ca-store.ts';
import { type KeyPair, newKeyPair, signerOf } from './key-files.ts';
import type { ParentCertificate } from './parents/parent.ts';

interface Terms {
  readonly trustDomain: string;
  readonly now: number;
  readonly lifetime: number;
  /** Limit what may be issued below to URIs of the trust domain. */
  readonly constrained: boolean;
}

/** Makes a self-signed root. It signs issuers only. */
export async function makeRoot(store: CaStore, terms: Terms): Promise<CaEntry> {
  const keys = await newKeyPair();
  const id = newEntryId();
  const subject = `${terms.trustDomain} root ${id}`;
  const pem = await signCertificate(caTemplate(subject, terms, terms.now + terms.lifetime, null), keys.publicKey, { subject }, signerOf(keys));
  store.keepKey(id, keys);
  return entryOf({ id, role: 'root', root: id, parent: 'selfSigned', pem, now: terms.now });
}

/** Makes an issuer below a root of ours. It ends with its root at the latest. */
export async function makeIssuer(store: CaStore, root: CaEntry, terms: Terms): Promise<CaEntry> {
  const keys = await newKeyPair();
  const id = newEntryId();
  const template = caTemplate(`${terms.trustDomain} issuing ${id}`, terms, Math.min(terms.now + terms.lifetime, root.notAfter), 0);
  const pem = await signCertificate(template, keys.publicKey, issuerName(root.pem), signerOf(store.keysOf(root)));
  store.keepKey(id, keys);
  return entryOf({ id, role: 'issuer', root: root.id, parent: root.parent, pem, now: terms.now });
}

function caTemplate(subject: string, terms: Terms, notAfter: number, pathLength: number | null) {
  const kind = { ca: true, pathLength, ...(terms.constrained && pathLength !== null ? { permittedHost: terms.trustDomain } : {}) } as const;
  return { subject, uri: `spiffe://${terms.trustDomain}`, notBefore: terms.now - SKEW, notAfter, serial: newSerial(), kind };
}

/**
 * Takes in what a parent gave: its certificate for our key becomes an issuer, and the bundle gets a self-signed twin of
 * it, with the same name and key, limited to the trust domain. With the parent's own root in the bundle every other CA
 * below it could mint our identities (identity-pki.md §5, "Corporate PKI"). Who trusts the parent's root can still
 * follow the chain that proxies present.
 */
export async function takeIn(store: CaStore, given: ParentCertificate, terms: Terms): Promise<[CaEntry, CaEntry]> {
  const [rootId, issuerId] = [newEntryId(), newEntryId()];
  store.keepKey(issuerId, given.keys);
  const upstream = given.offer;
  const root = entryOf({ id: rootId, role: 'root', root: rootId, parent: given.parent, pem: await twinOf(given.pem, given.keys, terms), upstream, now: terms.now });
  const issuer = entryOf({ id: issuerId, role: 'issuer', root: rootId, parent: given.parent, pem: given.pem, chain: given.chain, upstream, now: terms.now });
  return [root, issuer];
}

async function twinOf(pem: string, keys: KeyPair, terms: Terms): Promise<string> {
  const original = new X509Certificate(pem);
  const name = issuerName(pem);
  const template = {
    ...caTemplate('', terms, original.validToDate.getTime(), 0),
    ...name,
    notBefore: original.validFromDate.getTime(),
    kind: { ca: true, pathLength: readCaCertificate(pem).pathLength ?? 0, permittedHost: terms.trustDomain } as const,
  };
  return signCertificate(template, keys.publicKey, name, signerOf(keys));
}
