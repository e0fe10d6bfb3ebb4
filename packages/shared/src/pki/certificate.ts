import { createHash, type KeyObject, sign } from 'node:crypto';
import { bits, boolean, children, content, type Der, decode, encode, integer, octets, oid, sequence, set, tagged, time, utf8 } from './der.ts';

/** Who signs: its name and key. The key never leaves the operator's `ca` room. */
export interface Issuer {
  readonly subject: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Content of a certificate; times in milliseconds since the epoch, cut to seconds. */
export interface CertificateTemplate {
  /** Common name; '' for none, which makes the SAN critical (X509-SVID §4.1.1). */
  readonly subject: string;
  /** SPIFFE ID for the one URI SAN; null for a CA without one. */
  readonly uri: string | null;
  /** DNS names or addresses for the SAN beside the URI. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** 1 to 20 unsigned bytes, unique for the issuer. */
  readonly serial: Uint8Array;
  readonly kind: { readonly ca: true; readonly pathLength: number | null } | { readonly ca: false };
}

const OID = {
  ecdsaSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/**
 * Issues an ECDSA P-256 certificate (RFC 5280; leaves by the X.509-SVID standard). node-forge writes the DER, because
 * it cannot sign with elliptic curves; node:crypto signs.
 *
 * @returns PEM
 */
export function issueCertificate(template: CertificateTemplate, subjectKey: KeyObject, issuer: Issuer): string {
  const spki = subjectKey.export({ type: 'spki', format: 'der' });
  const algorithm = sequence(oid(OID.ecdsaSha256));
  const tbs = sequence(
    tagged(0, [integer(Buffer.from([2]))]),
    integer(template.serial),
    algorithm,
    distinguishedName(issuer.subject),
    sequence(time(template.notBefore), time(template.notAfter)),
    distinguishedName(template.subject),
    decode(spki),
    tagged(3, [sequence(...extensions(template, spki, issuer))]),
  );
  const signature = sign('sha256', encode(tbs), issuer.privateKey);
  return toPem('CERTIFICATE', encode(sequence(tbs, algorithm, bits(signature))));
}

function extensions(template: CertificateTemplate, spki: Buffer, issuer: Issuer): Der[] {
  const issuerSpki = issuer.publicKey.export({ type: 'spki', format: 'der' });
  const list = [
    extension(OID.basicConstraints, true, basicConstraints(template.kind)),
    // Leaf: digitalSignature (bit 0). CA: keyCertSign (5) and cRLSign (6).
    extension(OID.keyUsage, true, template.kind.ca ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7)),
    extension(OID.subjectKeyId, false, octets(keyId(spki))),
    extension(OID.authorityKeyId, false, sequence(tagged(0, keyId(issuerSpki)))),
  ];
  if (!template.kind.ca) {
    list.push(extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))));
  }
  if (template.uri !== null) {
    // RFC 5280 §4.2.1.6: uniformResourceIdentifier [6]; critical when the subject is empty.
    const names = sequence(tagged(6, Buffer.from(template.uri, 'latin1')));
    list.push(extension(OID.subjectAltName, template.subject === '', names));
  }
  return list;
}

function basicConstraints(kind: CertificateTemplate['kind']): Der {
  if (!kind.ca) return sequence();
  const length = kind.pathLength === null ? [] : [integer(Buffer.from([kind.pathLength]))];
  return sequence(boolean(true), ...length);
}

function extension(id: string, critical: boolean, value: Der): Der {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(encode(value)));
}

/** RFC 5280 §4.2.1.2 method 1: SHA-1 of the subject public key's bit string (an identifier, not a security measure). */
function keyId(spki: Buffer): Buffer {
  const key = content(children(decode(spki))[1]).subarray(1);
  return createHash('sha1').update(key).digest();
}

function distinguishedName(commonName: string): Der {
  if (commonName === '') return sequence();
  const attribute = (type: string, value: string) => set(sequence(oid(type), utf8(value)));
  return sequence(attribute(OID.organization, 'Sallyport'), attribute(OID.commonName, commonName));
}

/** Wraps DER in PEM with 64 columns (RFC 7468). */
export function toPem(label: string, der: Uint8Array): string {
  const body = Buffer.from(der).toString('base64').replace(/(.{64})(?=.)/g, '$1\n');
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

/** The DER inside a PEM block. @throws Error when there is not exactly one block of that label */
export function fromPem(label: string, pem: string): Buffer {
  const pattern = new RegExp(`^-----BEGIN ${label}-----\\r?\\n([A-Za-z0-9+/=\\r\\n]+)-----END ${label}-----\\s*$`);
  const match = pattern.exec(pem.trimStart());
  if (!match?.[1]) throw new Error(`expected one PEM block ${label}`);
  return Buffer.from(match[1].replace(/\s/g, ''), 'base64');
}
