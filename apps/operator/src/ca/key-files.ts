import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hashFor, type Signer } from '@sallyport/shared/pki';
import { isSealed, KeyEncryption, KeyStoreError } from './key-encryption.ts';

const generate = promisify(generateKeyPair);

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A fresh ECDSA P-256 pair. */
export function newKeyPair(): Promise<KeyPair> {
  return generate('ec', { namedCurve: 'P-256' });
}

/** Signs with a key that is in memory. */
export function signerOf({ privateKey, publicKey }: KeyPair): Signer {
  return { publicKey, sign: (tbs) => Promise.resolve(sign(hashFor(publicKey), tbs, privateKey)) };
}

/** Files of one directory that only the operator can read; private keys in it are wrapped under a key-encryption key. */
export class KeyFiles {
  readonly directory: string;
  readonly #encryption: KeyEncryption;

  /** @param kekFile the key-encryption key; by default `kek` beside the keys, made when there is none */
  constructor(directory: string, kekFile: string | null = null) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#encryption = new KeyEncryption(directory, kekFile);
  }

  /** Text of a file, or null when there is none. */
  read(name: string): string | null {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  }

  /** Writes all or nothing: a crash leaves the old file. */
  write(name: string, text: string, mode = 0o600): void {
    writeDurably(join(this.directory, name), text, mode);
  }

  /**
   * A stored private key with its public half, or null. A plain one, as earlier versions kept them, is wrapped now.
   *
   * @throws KeyStoreError when it cannot be unwrapped; nothing is overwritten then
   */
  readKey(name: string): KeyPair | null {
    const text = this.read(name);
    if (text === null) return null;
    const privateKey = parseKey(isSealed(text) ? this.#encryption.open(name, text) : text, name);
    if (!isSealed(text)) this.writeKey(name, privateKey);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  }

  writeKey(name: string, key: KeyObject): void {
    const pem = key.export({ type: 'pkcs8', format: 'pem' }) as string;
    this.write(name, this.#encryption.seal(name, pem));
  }

  /** Puts a file out of use without destroying it. */
  setAside(name: string): void {
    renameSync(join(this.directory, name), join(this.directory, `${name}.abandoned`));
  }

  remove(name: string): void {
    rmSync(join(this.directory, name), { force: true });
  }
}

function parseKey(pem: string, name: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new KeyStoreError(`${name} holds no private key; restore it from a backup`);
  }
}

/** Aside, to the disk, then renamed. */
function writeDurably(path: string, text: string, mode = 0o600): void {
  const descriptor = openSync(`${path}.new`, 'w', mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${path}.new`, path);
}
