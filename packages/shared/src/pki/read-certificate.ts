import { fromPem } from './certificate.ts';
import { children, content, type Der, decode, readOid } from './der.ts';

/** Raised for bytes that are no certificate in canonical DER. */
export class UnreadableCertificateError extends Error {
  override readonly name = 'UnreadableCertificateError';
}

/** What path building and issuing under a CA certificate have to know of it, which node:crypto does not tell. */
export interface CaCertificate {
  /** The subject as it stands there; names are compared byte by byte. */
  readonly subject: Der;
  readonly ca: boolean;
  readonly pathLength: number | null;
  /** keyUsage allows it to sign certificates; true when there is no such extension (RFC 5280 §4.2.1.3). */
  readonly signsCertificates: boolean;
  readonly keyId: Buffer | null;
  /** Hosts of URIs that its name constraints permit; null when they do not limit URIs. */
  readonly permittedHosts: readonly string[] | null;
  readonly excludedHosts: readonly string[];
}

const MAX_CERTIFICATE_BYTES = 32 * 1024;

/**
 * Reads the parts of a CA's certificate that bear on what may be issued under it (RFC 5280 §4.2.1.2, .3, .9, .10).
 *
 * @throws UnreadableCertificateError for anything but one certificate in canonical DER
 */
export function readCaCertificate(pem: string): CaCertificate {
  try {
    const der = fromPem('CERTIFICATE', pem);
    if (der.length > MAX_CERTIFICATE_BYTES) throw new Error('too large');
    return read(decode(der));
  } catch (error) {
    throw new UnreadableCertificateError(`not one X.509 certificate in canonical DER of at most ${MAX_CERTIFICATE_BYTES} bytes`, { cause: error });
  }
}

function read(certificate: Der): CaCertificate {
  const fields = children(children(certificate)[0]);
  // serial, algorithm, issuer, validity, subject: the version before them is tagged and may be absent.
  const subject = fields.filter((item) => (item.tagClass as number) === 0)[4];
  if (!subject) throw new Error('no subject');
  const extensions = extensionsOf(fields);
  const basic = extensions.get('2.5.29.19');
  const constraints = basic ? children(basic) : [];
  const flag = constraints.find((item) => (item.type as number) === 1);
  const length = constraints.find((item) => (item.type as number) === 2);
  const usage = extensions.get('2.5.29.15');
  const keyId = extensions.get('2.5.29.14');
  const names = extensions.get('2.5.29.30');
  const permitted = names ? hosts(names, 0) : [];
  return {
    subject,
    ca: flag !== undefined && content(flag)[0] !== 0,
    pathLength: length ? content(length).readUIntBE(0, Math.min(6, content(length).length)) : null,
    signsCertificates: usage === undefined || ((content(usage)[1] ?? 0) & 0x04) !== 0,
    keyId: keyId ? content(keyId) : null,
    permittedHosts: permitted.length > 0 ? permitted : null,
    excludedHosts: names ? hosts(names, 1) : [],
  };
}

/** Values of extensions by their OIDs. RFC 5280 §4.2: none may come twice. */
function extensionsOf(fields: readonly Der[]): Map<string, Der> {
  const list = fields.find((item, index) => index > 5 && (item.tagClass as number) === 0x80 && (item.type as number) === 3);
  const extensions = new Map<string, Der>();
  for (const item of list ? children(children(list)[0]) : []) {
    const parts = children(item);
    const id = readOid(parts[0]);
    if (extensions.has(id)) throw new Error('repeated extension');
    extensions.set(id, decode(content(parts.at(-1))));
  }
  return extensions;
}

/** URI hosts of the permitted [0] or excluded [1] subtrees (RFC 5280 §4.2.1.10). */
function hosts(names: Der, tag: 0 | 1): string[] {
  const subtrees = children(names).find((item) => (item.type as number) === tag);
  const bases = subtrees ? children(subtrees).flatMap((subtree) => children(subtree)[0] ?? []) : [];
  return bases.filter((base) => (base.type as number) === 6).map((base) => content(base).toString('latin1').toLowerCase());
}

/** RFC 5280 §4.2.1.10: a constraint that begins with a period is met by any host below it, any other only by that host. */
export function hostMeets(constraint: string, host: string): boolean {
  return constraint.startsWith('.') ? host.endsWith(constraint) && host.length > constraint.length : host === constraint;
}
