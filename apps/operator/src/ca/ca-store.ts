import { X509Certificate } from 'node:crypto';
import { bundleOf, caDocument, type CaDocument, type CaEntry } from '@sallyport/shared/pki';
import { z } from 'zod';
import { emptyDocument, keyName } from './ca-entries.ts';
import { KeyStoreError } from './key-encryption.ts';
import type { KeyFiles, KeyPair } from './key-files.ts';
import { migrateFirstLayout, removeFirstLayout } from './first-layout.ts';

const FILE = 'ca.json';
/** Removed entries are kept this long in number: who may have signed an SVID of ours is asked by evidence. */
const KEPT_REMOVED = 500;

/** The CA's document and keys in the operator's state directory. Each change is on the disk before it counts. */
export class CaStore {
  readonly files: KeyFiles;
  readonly #listeners = new Set<() => void>();
  #document: CaDocument;
  #written: string | null;

  private constructor(files: KeyFiles, document: CaDocument, written: string | null) {
    this.files = files;
    this.#document = document;
    this.#written = written;
  }

  /**
   * Opens what is there, or begins an empty CA.
   *
   * @throws KeyStoreError when the state is of another trust domain or damaged
   */
  static open(files: KeyFiles, trustDomain: string, now: number): CaStore {
    const text = files.read(FILE);
    const document = text === null ? (migrateFirstLayout(files, trustDomain, now) ?? emptyDocument(trustDomain, now)) : parse(text);
    if (document.trustDomain !== trustDomain) {
      throw new KeyStoreError(`${FILE} is of trust domain ${document.trustDomain}, not ${trustDomain}; give each trust domain a state directory of its own`);
    }
    const store = new CaStore(files, document, text);
    if (text === null && document.entries.length > 0) {
      store.#save(document);
      removeFirstLayout(files);
    }
    store.#publish();
    return store;
  }

  get document(): CaDocument {
    return this.#document;
  }

  /** Calls back after each change of the document. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Changes the document as it is at this moment. Keys of what was removed are destroyed. */
  update(change: (document: CaDocument) => CaDocument): void {
    const before = this.#document;
    const after = forget(change(before));
    if (after === before) return;
    this.#save(after);
    this.#document = after;
    for (const entry of after.entries) if (entry.state === 'removed') this.files.remove(keyName(entry.id));
    if (after.sequence !== before.sequence) this.#publish();
    for (const listener of this.#listeners) listener();
  }

  /** Notes that an issuer signed an SVID that ends then; written ahead, so that few SVIDs cause a write. */
  coverLeaf(id: string, notAfter: number, lifetimeMs: number): void {
    const entry = this.#document.entries.find((item) => item.id === id);
    if (!entry || entry.leavesEnd >= notAfter) return;
    const leavesEnd = Math.ceil(notAfter + lifetimeMs / 4);
    this.update((document) => ({ ...document, entries: document.entries.map((item) => (item.id === id ? { ...item, leavesEnd } : item)) }));
  }

  /** @throws KeyStoreError when the key of an entry is not there, cannot be unwrapped or belongs to another certificate */
  keysOf(entry: CaEntry): KeyPair {
    const keys = this.files.readKey(keyName(entry.id));
    if (!keys) throw new KeyStoreError(`the key of ${entry.subject} (${keyName(entry.id)}) is not there; restore the state directory from a backup, or: sallyport ca repair --offline`);
    if (!new X509Certificate(entry.pem).checkPrivateKey(keys.privateKey)) {
      throw new KeyStoreError(`${keyName(entry.id)} does not belong to the certificate of ${entry.subject}; restore both from one backup`);
    }
    return keys;
  }

  keepKey(id: string, keys: KeyPair): void {
    this.files.writeKey(keyName(id), keys.privateKey);
  }

  /** @throws KeyStoreError when another process changed the document: two CAs on one directory would undo each other */
  #save(document: CaDocument): void {
    if (this.files.read(FILE) !== this.#written) throw new KeyStoreError(`${FILE} was changed by another process; stop all but one operator on this state directory and start it again`);
    this.#written = `${JSON.stringify(document, null, 1)}\n`;
    this.files.write(FILE, this.#written);
  }

  /** The bundle as a file: what a new proxy is given to know the operator by. */
  #publish(): void {
    this.files.write('bundle.pem', bundleOf(this.#document).map((entry) => entry.pem).join(''), 0o644);
  }
}

function parse(text: string): CaDocument {
  try {
    return caDocument.parse(JSON.parse(text));
  } catch (error) {
    const place = error instanceof z.ZodError ? (error.issues[0]?.path.join('.') ?? '') : 'not JSON';
    throw new KeyStoreError(`${FILE} cannot be read (${place}); restore the state directory from a backup`);
  }
}

/** Drops the oldest removed entries beyond {@link KEPT_REMOVED}. */
function forget(document: CaDocument): CaDocument {
  const excess = document.entries.filter((entry) => entry.state === 'removed').length - KEPT_REMOVED;
  if (excess <= 0) return document;
  const gone = new Set(document.entries.filter((entry) => entry.state === 'removed').slice(0, excess));
  return { ...document, entries: document.entries.filter((entry) => !gone.has(entry)) };
}
