import { X509Certificate } from 'node:crypto';
import { activated, type CaDocument, type CaEntry } from '@sallyport/shared/pki';
import { emptyDocument, entryOf, keyName, newEntryId } from './ca-entries.ts';
import { KeyStoreError } from './key-encryption.ts';
import type { KeyFiles } from './key-files.ts';

const DAY = 24 * 3_600_000;

/**
 * Takes over the files of the first versions, one root and one issuer in plain PEM. Keys are wrapped under their new
 * names; the old files stay until the new document is on the disk, so that a crash in between loses nothing.
 *
 * @returns null when there are none
 */
export function migrateFirstLayout(files: KeyFiles, trustDomain: string, now: number): CaDocument | null {
  const root = takeOver(files, 'root', null, now);
  const issuer = root && takeOver(files, 'issuing', root, now);
  if (!root || !issuer) return null;
  const earlierIssuers = JSON.parse(files.read('issuers.json') ?? '[]') as string[];
  const document = { ...emptyDocument(trustDomain, now), entries: [root, issuer], earlierIssuers };
  return activated(document, root.id, now);
}

function takeOver(files: KeyFiles, name: 'root' | 'issuing', root: CaEntry | null, now: number): CaEntry | null {
  const keys = files.readKey(`${name}.key`);
  const pem = files.read(`${name}.pem`);
  if (!keys || pem === null) return null;
  const certificate = new X509Certificate(pem);
  if (!certificate.checkPrivateKey(keys.privateKey)) throw new KeyStoreError(`${name}.key does not belong to ${name}.pem; restore both from one backup`);
  const id = newEntryId();
  files.writeKey(keyName(id), keys.privateKey);
  const entry = entryOf({ id, role: root ? 'issuer' : 'root', root: root?.id ?? id, parent: 'selfSigned', pem, now });
  const createdAt = certificate.validFromDate.getTime() + 60_000;
  // SVIDs of those versions lived for a day at most.
  return { ...entry, createdAt, leavesEnd: root ? Math.min(entry.notAfter, now + DAY) : 0 };
}

/** Takes the old files away, once the document that replaces them is kept. */
export function removeFirstLayout(files: KeyFiles): void {
  for (const name of ['root.key', 'root.pem', 'issuing.key', 'issuing.pem', 'issuers.json']) files.remove(name);
}
