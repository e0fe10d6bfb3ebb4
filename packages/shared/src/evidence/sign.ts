import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { Files } from './model.ts';
import { canonicalJson, encode, lines, sha256 } from './text.ts';

export const ENVELOPE = 'attestation.dsse.json';
export const SUMS = 'SHA256SUMS';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://sallyport.dev/evidence/v1';

/** Only these bytes may stand in a path, so that JSON, shells and `sha256sum` all read it the same way. */
const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;

/** True for a relative path without `..`, hidden parts or characters that need quoting. */
export function isSafeName(name: string): boolean {
  return name.length <= 200 && SAFE_NAME.test(name);
}

/** Identity of a signing key: hex SHA-256 of its public half as SPKI DER. `openssl pkey -pubin -outform DER | sha256sum`. */
export function keyIdOf(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
}

/** DSSE v1 pre-authentication encoding: the bytes that are signed. */
export function preAuthentication(payload: Uint8Array): Uint8Array {
  return Buffer.concat([encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

/** `SHA256SUMS` over files, in the form that `sha256sum -c` reads. */
export function sumsOf(files: Files): Uint8Array {
  const names = [...files.keys()].filter((name) => name !== SUMS && name !== ENVELOPE).sort();
  return lines(names.map((name) => `${sha256(files.get(name) ?? '')}  ${name}`));
}

/**
 * Adds `SHA256SUMS` and `attestation.dsse.json`: an in-toto Statement v1 in a DSSE envelope, signed with Ed25519, whose
 * subjects are every file but the envelope itself, so that an added file is found as well as a changed one.
 *
 * @returns all files of the bundle
 * @throws Error when the key is not an Ed25519 private key, or a path is not {@link isSafeName safe}
 */
export function signBundle(files: Files, key: KeyObject): Files {
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') throw new Error('the evidence key must be an Ed25519 private key');
  for (const name of files.keys()) if (!isSafeName(name)) throw new Error(`not a safe path for a bundle: ${JSON.stringify(name)}`);
  const signed: Files = new Map(files);
  signed.delete(ENVELOPE);
  signed.set(SUMS, sumsOf(signed));
  const subject = [...signed.keys()].sort().map((name) => ({ name, digest: { sha256: sha256(signed.get(name) ?? '') } }));
  const statement = { _type: STATEMENT_TYPE, predicateType: PREDICATE_TYPE, predicate: { files: subject.length, manifest: 'manifest.json' }, subject };
  const payload = encode(canonicalJson(statement));
  const signature = sign(null, preAuthentication(payload), key);
  signed.set(ENVELOPE, encodeEnvelope(Buffer.from(payload).toString('base64'), keyIdOf(key), signature.toString('base64')));
  return signed;
}

/** The one encoding of an envelope. DSSE signs neither the key id nor the encoding, so verification insists on both. */
export function encodeEnvelope(payload: string, keyid: string, sig: string): Uint8Array {
  return encode(`${canonicalJson({ payload, payloadType: PAYLOAD_TYPE, signatures: [{ keyid, sig }] })}\n`);
}
