import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { KeyFiles } from './key-files.ts';

/** The Ed25519 key that signs evidence, made on first use and kept beside the CA's keys. */
export function openEvidenceKey(directory: string): KeyObject {
  const files = new KeyFiles(directory);
  const stored = files.read('evidence.key');
  if (stored !== null) return createPrivateKey(stored);
  const { privateKey } = generateKeyPairSync('ed25519');
  files.writeKey('evidence.key', privateKey);
  return privateKey;
}
