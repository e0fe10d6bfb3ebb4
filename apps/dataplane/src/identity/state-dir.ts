import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Makes the state directory when needed and keeps others out of it. */
export function prepareStateDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

/** Text of a file, or null when it does not exist. Other errors are thrown. */
export function readIfPresent(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Writes a file so that a crash leaves the old or the new content: a temporary beside it, fsync, rename. Mode 0600. */
export function writeAtomically(file: string, text: string): void {
  const temporary = `${file}.new`;
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
}

/**
 * The machine key that proves this proxy when its SVID has expired: ECDSA P-256, made at the first start.
 *
 * @throws Error naming the file when it is there and not a P-256 key: a new one would silently be another machine
 */
export function machineKey(directory: string): KeyObject {
  const file = join(directory, 'machine-key.pem');
  const text = readIfPresent(file);
  if (text === null) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeAtomically(file, String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
    return privateKey;
  }
  const key = parseKey(text, file);
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error(`${file} is not an ECDSA P-256 key; remove it and join again`);
  return key;
}

function parseKey(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    throw new Error(`${file} holds no private key in PEM; remove it and join again with a new token`);
  }
}
