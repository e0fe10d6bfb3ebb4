import { createHash, type KeyObject, sign } from 'node:crypto';
import { bits, boolean, children, content, type Der, decode, encode, integer, nothing, octets, oid, sequence, set, tagged, time, utf8 } from './der.ts';

/** What of an issuer stands in the certificates that it issues. */
export interface IssuerName {
  /** Common name, or the whole name as another CA wrote it: path building compares names byte by byte. */
  readonly subject: string | Der;
  readonly publicKey: KeyObject;
  /** Its subject key identifier where somebody else chose it; by default ours, the hash of the key. */
  readonly keyId?: Uint8Array;
}

/** An issuer whose private key is in this process's memory. */
export interface Issuer extends IssuerName {
  readonly subject: string;
  readonly privateKey: KeyObject;
}

/** Signs without showing the key: a file's key today, a key service's tomorrow. */
export interface Signer {
  readonly publicKey: KeyObject;
  /** @returns an ECDSA signature in DER, or an RSA PKCS#1 v1.5 one, over the hash that {@link hashFor} names */
  sign(tbs: Uint8Array): Promise<Uint8Array>;
}

/** Content of a certificate; times in milliseconds since the epoch, cut to seconds. */
export interface CertificateTemplate {
  /** Common name; '' for none, which makes the SAN critical (X509-SVID §4.1.1). A whole name is written as it is. */
  readonly subject: string | Der;
  /** SPIFFE ID for the one URI SAN; null for a CA without one. */
  readonly uri: string | null;
  /** Host names for the SAN, of a server that is found by one. */
  readonly dns?: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  /** 1 to 20 unsigned bytes, unique for the issuer. */
  readonly serial: Uint8Array;
  /** Subject key identifier; by default the hash of the key. */
  readonly keyId?: Uint8Array;
  readonly kind:
    | {
        readonly ca: true;
        readonly pathLength: number | null;
        /** The one host of URIs that certificates below may name: for SPIFFE the trust domain. */
        readonly permittedHost?: string;
      }
    | { readonly ca: false };
}

const OID = {
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
  rsaSha256: '1.2.840.113549.1.1.11',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  nameConstraints: '2.5.29.30',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/**
 * Issues a certificate with a key that is at hand (RFC 5280; leaves by the X.509-SVID standard). node-forge writes the
 * DER, because it cannot sign with elliptic curves; node:crypto signs.
 *
 * @returns PEM
 */
export function issueCertificate(template: CertificateTemplate, subjectKey: KeyObject, issuer: Issuer): string {
  const algorithm = signatureAlgorithm(issuer.publicKey);
  const tbs = toBeSigned(template, subjectKey, issuer, algorithm);
  return assemble(tbs, algorithm, sign(hashFor(issuer.publicKey), encode(tbs), issuer.privateKey));
}

/**
 * Issues a certificate through a {@link Signer} (RFC 5280 §4.1).
 *
 * @returns PEM
 */
export async function signCertificate(template: CertificateTemplate, subjectKey: KeyObject, issuer: Omit<IssuerName, 'publicKey'>, signer: Signer): Promise<string> {
  const { publicKey } = signer;
  const algorithm = signatureAlgorithm(publicKey);
  const tbs = toBeSigned(template, subjectKey, { ...issuer, publicKey }, algorithm);
  return assemble(tbs, algorithm, await signer.sign(encode(tbs)));
}

function toBeSigned(template: CertificateTemplate, subjectKey: KeyObject, issuer: IssuerName, algorithm: Der): Der {
  const spki = subjectKey.export({ type: 'spki', format: 'der' });
  return sequence(
    tagged(0, [integer(Buffer.from([2]))]),
    integer(template.serial),
    algorithm,
    distinguishedName(issuer.subject),
    sequence(time(template.notBefore), time(template.notAfter)),
    distinguishedName(template.subject),
    decode(spki),
    tagged(3, [sequence(...extensions(template, spki, issuer))]),
  );
}

function assemble(tbs: Der, algorithm: Der, signature: Uint8Array): string {
  return toPem('CERTIFICATE', encode(sequence(tbs, algorithm, bits(signature))));
}

/** The hash that goes with a key: as strong as the key, and no stronger (RFC 5480 §4). */
export function hashFor(key: KeyObject): 'sha256' | 'sha384' {
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'sha384' : 'sha256';
}

/** @throws Error for a key that no certificate of ours is signed with */
function signatureAlgorithm(key: KeyObject): Der {
  if (key.asymmetricKeyType === 'rsa') return sequence(oid(OID.rsaSha256), nothing());
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return sequence(oid(OID.ecdsaSha256));
  if (curve === 'secp384r1') return sequence(oid(OID.ecdsaSha384));
  throw new Error('an issuer needs an ECDSA P-256, ECDSA P-384 or RSA key');
}

function extensions(template: CertificateTemplate, spki: Buffer, issuer: IssuerName): Der[] {
  const issuerSpki = issuer.publicKey.export({ type: 'spki', format: 'der' });
  const list = [
    extension(OID.basicConstraints, true, basicConstraints(template.kind)),
    // Leaf: digitalSignature (bit 0). CA: keyCertSign (5) and cRLSign (6).
    extension(OID.keyUsage, true, template.kind.ca ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7)),
    extension(OID.subjectKeyId, false, octets(template.keyId ?? keyId(spki))),
    extension(OID.authorityKeyId, false, sequence(tagged(0, issuer.keyId ?? keyId(issuerSpki)))),
  ];
  if (template.kind.ca) {
    if (template.kind.permittedHost !== undefined) list.push(extension(OID.nameConstraints, true, permittedUris(template.kind.permittedHost)));
  } else {
    list.push(extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))));
  }
  const names = [
    // RFC 5280 §4.2.1.6: dNSName [2], uniformResourceIdentifier [6]; critical when the subject is empty.
    ...(template.dns ?? []).map((name) => tagged(2, Buffer.from(name, 'latin1'))),
    ...(template.uri === null ? [] : [tagged(6, Buffer.from(template.uri, 'latin1'))]),
  ];
  if (names.length > 0) list.push(extension(OID.subjectAltName, template.subject === '', sequence(...names)));
  return list;
}

function basicConstraints(kind: CertificateTemplate['kind']): Der {
  if (!kind.ca) return sequence();
  const length = kind.pathLength === null ? [] : [integer(Buffer.from([kind.pathLength]))];
  return sequence(boolean(true), ...length);
}

/** RFC 5280 §4.2.1.10: "Conforming CAs MUST mark this extension as critical"; for URIs the constraint is the host part. */
function permittedUris(host: string): Der {
  return sequence(tagged(0, [sequence(tagged(6, Buffer.from(host, 'latin1')))]));
}

function extension(id: string, critical: boolean, value: Der): Der {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(encode(value)));
}

/** RFC 5280 §4.2.1.2 method 1: SHA-1 of the subject public key's bit string (an identifier, not a security measure). */
function keyId(spki: Buffer): Buffer {
  const key = content(children(decode(spki))[1]).subarray(1);
  return createHash('sha1').update(key).digest();
}

/** A name with our organisation and a common name; '' is the empty one. */
export function distinguishedName(commonName: string | Der): Der {
  if (typeof commonName !== 'string') return commonName;
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
