import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { distinguishedName, fromPem, toPem } from './certificate.ts';
import { bits, children, content, type Der, decode, encode, integer, oid, readOid, sequence, tagged } from './der.ts';

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
/** Tag of an iPAddress, whose bytes are no text (RFC 5280 §4.2.1.6). */
const IP_ADDRESS = 7;
const MAX_CSR_BYTES = 16 * 1024;

/** Raised for a CSR that proves nothing; the message says why. */
export class InvalidCsrError extends Error {
  override readonly name = 'InvalidCsrError';
}

/**
 * A PKCS#10 request (RFC 2986) for an ECDSA P-256 key: a public key and proof of possession, without attributes and with
 * an empty subject, because the issuer takes the identity from what it attested.
 *
 * @param subject for a CA that takes it from the request; "CAs MUST have a non-empty subject" (RFC 5280 §4.1.2.6)
 * @returns PEM
 */
export function createCsr(keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }, subject = ''): string {
  const info = sequence(
    integer(Buffer.from([0])),
    distinguishedName(subject),
    decode(keys.publicKey.export({ type: 'spki', format: 'der' })),
    tagged(0, []),
  );
  const signature = sign('sha256', encode(info), keys.privateKey);
  return toPem('CERTIFICATE REQUEST', encode(sequence(info, sequence(oid(ECDSA_SHA256)), bits(signature))));
}

/**
 * Takes the public key from a CSR after checking the proof of possession. What subject and attributes ask for is
 * ignored; names that are written to deceive a reader are refused all the same.
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
  const [info, algorithm, signature, more] = children(decode(fromPem('CERTIFICATE REQUEST', pem)));
  if (readOid(children(algorithm)[0]) !== ECDSA_SHA256) throw new InvalidCsrError('signature must be ecdsa-with-SHA256');
  // RFC 5758 §3.2: "the encoding MUST omit the parameters field"; a signature has whole bytes, and nothing follows it.
  if (more || children(algorithm).length !== 1 || content(signature)[0] !== 0) throw new InvalidCsrError('not a PKCS#10 request in canonical DER');
  const spki = children(info)[2];
  if (!info || !spki) throw new InvalidCsrError('has no public key');
  const key = createPublicKey({ key: encode(spki), type: 'spki', format: 'der' });
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new InvalidCsrError('key must be ECDSA P-256');
  }
  if (!verify('sha256', encode(info), key, content(signature).subarray(1))) {
    throw new InvalidCsrError('proof of possession failed');
  }
  checkNames(children(info)[3]);
  return key;
}

/** Names of an extensionRequest (RFC 2985 §5.4.2) with a NUL, a quote or anything unprintable are no honest request. */
function checkNames(attributes: Der | undefined): void {
  const requested = attributes ? children(attributes).filter((item) => readOid(children(item)[0]) === EXTENSION_REQUEST) : [];
  const extensions = requested.flatMap((item) => children(children(item)[1])).flatMap((list) => children(list));
  for (const extension of extensions.map(children).filter(([id]) => readOid(id) === SUBJECT_ALT_NAME)) {
    for (const name of children(decode(content(extension.at(-1))))) {
      const text = typeof name.value === 'string' && (name.type as number) !== IP_ADDRESS ? content(name).toString('latin1') : '';
      if (!/^[!#-~]*$/.test(text)) throw new InvalidCsrError('a requested name holds a quote or an unprintable character');
    }
  }
}
