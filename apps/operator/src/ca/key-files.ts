import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A fresh ECDSA P-256 pair. */
export function newKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** Files of one directory that only the operator can read. */
export class KeyFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** Text of a file, or null when there is none. */
  read(name: string): string | null {
    const path = join(this.#directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  }

  /** Writes all or nothing: a crash leaves the old file. */
  write(name: string, text: string): void {
    const path = join(this.#directory, name);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** A stored private key with its public half, or null. */
  readKey(name: string): KeyPair | null {
    const text = this.read(name);
    if (text === null) return null;
    const privateKey = createPrivateKey(text);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  }

  writeKey(name: string, key: KeyObject): void {
    this.write(name, key.export({ type: 'pkcs8', format: 'pem' }) as string);
  }
}
