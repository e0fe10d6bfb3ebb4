import { InvalidSpiffeIdError, parseSpiffeId, type SpiffeId } from '../mesh/index.ts';
import { children, content, type Der, decode, readOid } from './der.ts';

/** Raised for a peer certificate that is not an X.509-SVID leaf; the message is the reason, free of secrets. */
export class PeerLeafError extends Error {
  override readonly name = 'PeerLeafError';
}

const MAX_CERTIFICATE_BYTES = 32 * 1024;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

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
  let tree: Der;
  try {
    tree = decode(der);
  } catch {
    throw new PeerLeafError('certificate is not canonical DER');
  }
  try {
    const { hasSubject, extensions } = readCertificate(tree);
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
  readonly value: Der;
}
type Extensions = ReadonlyMap<string, Extension>;

/** What the rules look at. @throws Error when it is not the certificate of RFC 5280 §4.1 */
export function readCertificate(certificate: Der): { readonly hasSubject: boolean; readonly extensions: Extensions } {
  const tbs = children(children(certificate)[0]);
  // RFC 5280 §4.1.2.1: "When extensions are used ... version MUST be 3": [0], before serial, algorithm, issuer, validity.
  const hasSubject = children(tbs[5]).length > 0;
  const field = tbs.find((item, index) => index > 6 && (item.tagClass as number) === 0x80 && (item.type as number) === 3);
  const extensions = new Map<string, Extension>();
  for (const item of field ? children(children(field)[0]) : []) {
    const parts = children(item);
    const id = readOid(parts[0]);
    // RFC 5280 §4.2: "A certificate MUST NOT include more than one instance of a particular extension."
    if (extensions.has(id)) throw new Error('repeated extension');
    const critical = parts.length === 3 && content(parts[1])[0] !== 0;
    extensions.set(id, { critical, value: decode(content(parts.at(-1))) });
  }
  return { hasSubject, extensions };
}

function checkConstraints(extensions: Extensions): void {
  const basic = extensions.get('2.5.29.19');
  const flag = basic && children(basic.value).find((item) => (item.type as number) === 1);
  // X509-SVID §4.1: "Leaf certificates MUST set the cA field to false."
  if (flag && content(flag)[0] !== 0) throw new PeerLeafError('leaf certificate is a CA');
}

function checkUsage(extensions: Extensions): void {
  const usage = extensions.get('2.5.29.15');
  // X509-SVID §4.3: "The key usage extension MUST be set on all SVIDs, and MUST be marked critical."
  if (!usage) throw new PeerLeafError('leaf certificate has no key usage');
  if (!usage.critical) throw new PeerLeafError('key usage is not critical');
  // §4.3: "Leaf SVIDs MUST set digitalSignature ... and MUST NOT set keyCertSign or cRLSign."
  const flags = content(usage.value)[1] ?? 0;
  if ((flags & 0x80) === 0) throw new PeerLeafError('key usage lacks digitalSignature');
  if ((flags & 0x06) !== 0) throw new PeerLeafError('key usage allows signing certificates');
  const extended = extensions.get('2.5.29.37');
  if (!extended) return;
  // §4.4: when included, id-kp-serverAuth and id-kp-clientAuth MUST be set.
  const purposes = children(extended.value).map(readOid);
  if (!purposes.includes(SERVER_AUTH) || !purposes.includes(CLIENT_AUTH)) {
    throw new PeerLeafError('extended key usage lacks serverAuth or clientAuth');
  }
}

function spiffeIdOf(extensions: Extensions, hasSubject: boolean): SpiffeId {
  const names = extensions.get('2.5.29.17');
  const uris = names ? children(names.value).filter((item) => (item.type as number) === 6) : [];
  // §2: "An X.509 SVID MUST contain exactly one URI SAN".
  if (uris.length !== 1) throw new PeerLeafError(`leaf certificate has ${uris.length} URI SANs, exactly one is required`);
  // RFC 5280 §4.1.2.6: "If the subject field is an empty sequence, the issuing CA MUST include a subjectAltName extension ... marked as critical".
  if (!hasSubject && names?.critical !== true) throw new PeerLeafError('subject is empty and the subject alternative name is not critical');
  try {
    const id = parseSpiffeId(content(uris[0]).toString('latin1'));
    if (id.path === '') throw new PeerLeafError('leaf certificate names a trust domain, not a workload');
    return id;
  } catch (error) {
    if (error instanceof InvalidSpiffeIdError) throw new PeerLeafError(`URI SAN is not a SPIFFE ID: ${error.message}`);
    throw error;
  }
}
