import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { KeyFiles } from './key-files.ts';

/** The Ed25519 key that signs evidence, made on first use and kept beside the CA's keys. */
export function openEvidenceKey(files: KeyFiles): KeyObject {
  const stored = files.readKey('evidence.key');
  if (stored) return stored.privateKey;
  const { privateKey } = generateKeyPairSync('ed25519');
  files.writeKey('evidence.key', privateKey);
  return privateKey;
}
