import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fromPem, toPem } from './certificate.ts';
import { bits, children, content, decode, encode, integer, oid, readOid, sequence, tagged } from './der.ts';

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const MAX_CSR_BYTES = 16 * 1024;

/** Raised for a CSR that proves nothing; the message says why. */
export class InvalidCsrError extends Error {
  override readonly name = 'InvalidCsrError';
}

/**
 * A PKCS#10 request (RFC 2986) for an ECDSA P-256 key: a public key and proof of possession, with an empty subject and
 * no attributes, because the issuer takes the identity from what it attested.
 *
 * @returns PEM
 */
export function createCsr(keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }): string {
  const info = sequence(
    integer(Buffer.from([0])),
    sequence(),
    decode(keys.publicKey.export({ type: 'spki', format: 'der' })),
    tagged(0, []),
  );
  const signature = sign('sha256', encode(info), keys.privateKey);
  return toPem('CERTIFICATE REQUEST', encode(sequence(info, sequence(oid(ECDSA_SHA256)), bits(signature))));
}

/**
 * Takes the public key from a CSR after checking the proof of possession. Subject and attributes are ignored.
 *
 * @throws InvalidCsrError for anything but canonical DER with an ECDSA P-256 key and a good signature
 */
export function readCsr(pem: string): KeyObject {
  if (pem.length > MAX_CSR_BYTES) throw new InvalidCsrError(`larger than ${MAX_CSR_BYTES} bytes`);
  try {
    return readChecked(pem);
  } catch (error) {
    if (error instanceof InvalidCsrError) throw error;
    throw new InvalidCsrError('not a PKCS#10 request in canonical DER');
  }
}

function readChecked(pem: string): KeyObject {
  const [info, algorithm, signature] = children(decode(fromPem('CERTIFICATE REQUEST', pem)));
  if (readOid(children(algorithm)[0]) !== ECDSA_SHA256) throw new InvalidCsrError('signature must be ecdsa-with-SHA256');
  const spki = children(info)[2];
  if (!info || !spki) throw new InvalidCsrError('has no public key');
  const key = createPublicKey({ key: encode(spki), type: 'spki', format: 'der' });
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new InvalidCsrError('key must be ECDSA P-256');
  }
  if (!verify('sha256', encode(info), key, content(signature).subarray(1))) {
    throw new InvalidCsrError('proof of possession failed');
  }
  return key;
}
