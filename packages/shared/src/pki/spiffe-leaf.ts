import { InvalidSpiffeIdError, parseSpiffeId, type SpiffeId } from '../mesh/index.ts';
import { type DerValue, readDer } from './der-reader.ts';

/** Raised for a peer certificate that is not an X.509-SVID leaf; the message is the reason, free of secrets. */
export class PeerLeafError extends Error {
  override readonly name = 'PeerLeafError';
}

const MAX_CERTIFICATE_BYTES = 32 * 1024;
/** Object identifiers as the hexadecimal of their content. */
const OID = { keyUsage: '551d0f', subjectAltName: '551d11', basicConstraints: '551d13', extendedKeyUsage: '551d25', serverAuth: '2b06010505070301', clientAuth: '2b06010505070302' } as const;
/** Identifier bytes: BOOLEAN, BIT STRING, OCTET STRING, OBJECT IDENTIFIER, SEQUENCE, and [3] of a certificate, [6] of a name. */
const TAG = { boolean: 0x01, bits: 0x03, octets: 0x04, oid: 0x06, sequence: 0x30, extensions: 0xa3, uri: 0x86 } as const;

/**
 * Checks the leaf rules of the X.509-SVID standard, which OpenSSL's path validation does not: Node calls a CA:TRUE
 * leaf and one with two URI SANs "authorized". The path itself must have been validated by TLS already.
 *
 * @param der the peer's leaf certificate
 * @returns the peer's SPIFFE ID
 * @throws PeerLeafError with the rule that the certificate breaks
 */
export function checkPeerLeaf(der: Uint8Array): SpiffeId {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new PeerLeafError('certificate is too large');
  let certificate: readonly DerValue[];
  try {
    certificate = readDer(Buffer.from(der.buffer, der.byteOffset, der.byteLength));
  } catch {
    throw new PeerLeafError('certificate is not canonical DER');
  }
  try {
    const { hasSubject, extensions } = readCertificate(certificate);
    checkConstraints(extensions);
    checkUsage(extensions);
    return spiffeIdOf(extensions, hasSubject);
  } catch (error) {
    if (error instanceof PeerLeafError) throw error;
    throw new PeerLeafError('certificate has a malformed extension');
  }
}

interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}
type Extensions = ReadonlyMap<string, Extension>;

/** What the rules look at. @throws Error when it is not the certificate of RFC 5280 §4.1 */
function readCertificate(certificate: readonly DerValue[]): { readonly hasSubject: boolean; readonly extensions: Extensions } {
  if (certificate.length !== 1) throw new Error('more than a certificate');
  const [body] = inside(certificate[0], TAG.sequence);
  const fields = inside(body, TAG.sequence);
  // RFC 5280 §4.1.2.1: "When extensions are used ... version MUST be 3": [0], before serial, algorithm, issuer, validity.
  const hasSubject = inside(fields[5], TAG.sequence).length > 0;
  const field = fields.find(({ tag }, index) => index > 6 && tag === TAG.extensions);
  const extensions = new Map<string, Extension>();
  for (const item of field ? inside(inside(field, TAG.extensions)[0], TAG.sequence) : []) {
    const parts = inside(item, TAG.sequence);
    const id = contentOf(parts[0], TAG.oid).toString('hex');
    // RFC 5280 §4.2: "A certificate MUST NOT include more than one instance of a particular extension."
    if (extensions.has(id)) throw new Error('repeated extension');
    const critical = parts.length === 3 && contentOf(parts[1], TAG.boolean)[0] !== 0;
    extensions.set(id, { critical, value: contentOf(parts.at(-1), TAG.octets) });
  }
  return { hasSubject, extensions };
}

function contentOf(value: DerValue | undefined, tag: number): Buffer {
  if (value?.tag !== tag) throw new Error('another type than expected');
  return value.content;
}

function inside(value: DerValue | undefined, tag: number): DerValue[] {
  return readDer(contentOf(value, tag));
}

/** The values of an extension that is a SEQUENCE. */
function listOf({ value }: Extension): DerValue[] {
  const [list, ...more] = readDer(value);
  if (more.length > 0) throw new Error('more than a value');
  return inside(list, TAG.sequence);
}

function checkConstraints(extensions: Extensions): void {
  const basic = extensions.get(OID.basicConstraints);
  const [flag] = basic ? listOf(basic) : [];
  // X509-SVID §4.1: "leaf certificates MUST set the `cA` field to `false`."
  if (flag?.tag === TAG.boolean && flag.content[0] !== 0) throw new PeerLeafError('leaf certificate is a CA');
}

function checkUsage(extensions: Extensions): void {
  const usage = extensions.get(OID.keyUsage);
  // X509-SVID §4.3: "The key usage extension MUST be set on all SVIDs, and MUST be marked critical."
  if (!usage) throw new PeerLeafError('leaf certificate has no key usage');
  if (!usage.critical) throw new PeerLeafError('key usage is not critical');
  // §4.3: "Leaf SVIDs MUST set `digitalSignature`. ... Leaf SVIDs MUST NOT set `keyCertSign` or `cRLSign`."
  const flags = contentOf(readDer(usage.value)[0], TAG.bits)[1] ?? 0;
  if ((flags & 0x80) === 0) throw new PeerLeafError('key usage lacks digitalSignature');
  if ((flags & 0x06) !== 0) throw new PeerLeafError('key usage allows signing certificates');
  const extended = extensions.get(OID.extendedKeyUsage);
  if (!extended) return;
  // §4.4: "When included, fields `id-kp-serverAuth` and `id-kp-clientAuth` MUST be set."
  const purposes = listOf(extended).map((purpose) => contentOf(purpose, TAG.oid).toString('hex'));
  if (!purposes.includes(OID.serverAuth) || !purposes.includes(OID.clientAuth)) {
    throw new PeerLeafError('extended key usage lacks serverAuth or clientAuth');
  }
}

function spiffeIdOf(extensions: Extensions, hasSubject: boolean): SpiffeId {
  const names = extensions.get(OID.subjectAltName);
  const uris = (names ? listOf(names) : []).filter(({ tag }) => tag === TAG.uri);
  // §2: "An X.509 SVID MUST contain exactly one URI SAN".
  const [uri] = uris;
  if (uris.length !== 1 || !uri) throw new PeerLeafError(`leaf certificate has ${uris.length} URI SANs, exactly one is required`);
  // RFC 5280 §4.1.2.6: "If the subject field is an empty sequence, the issuing CA MUST include a subjectAltName extension ... marked as critical".
  if (!hasSubject && names?.critical !== true) throw new PeerLeafError('subject is empty and the subject alternative name is not critical');
  try {
    const id = parseSpiffeId(uri.content.toString('latin1'));
    if (id.path === '') throw new PeerLeafError('leaf certificate names a trust domain, not a workload');
    return id;
  } catch (error) {
    if (error instanceof InvalidSpiffeIdError) throw new PeerLeafError(`URI SAN is not a SPIFFE ID: ${error.message}`);
    throw error;
  }
}
