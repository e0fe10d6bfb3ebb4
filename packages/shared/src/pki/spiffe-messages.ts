import { toPem } from './certificate.ts';
import { bytesField, bytesOf, doubleField, mapField, MessageError, readFields, readMap, textOf, varintField } from './spiffe-protobuf.ts';

/** One X.509-SVID in DER: chain and bundle are certificates one after another, the key is PKCS#8. */
export interface X509SvidMessage {
  readonly spiffeId: string;
  readonly chain: Uint8Array;
  readonly key: Uint8Array;
  readonly bundle: Uint8Array;
}

export interface X509SvidsMessage {
  readonly svids: readonly X509SvidMessage[];
  /** Bundles by the SPIFFE ID of their trust domains. */
  readonly federated: ReadonlyMap<string, Uint8Array>;
}

export interface JwtSvidMessage {
  readonly spiffeId: string;
  readonly token: string;
}

/** `X509SVIDResponse` of the SPIFFE Workload API §5.1. */
export function encodeX509Svids({ svids, federated }: X509SvidsMessage): Buffer {
  const svid = ({ spiffeId, chain, key, bundle }: X509SvidMessage) =>
    bytesField(1, Buffer.concat([bytesField(1, spiffeId), bytesField(2, chain), bytesField(3, key), bytesField(4, bundle)]));
  return Buffer.concat([...svids.map(svid), ...encodeMap(3, federated)]);
}

/** @throws MessageError */
export function decodeX509Svids(message: Buffer): X509SvidsMessage {
  const fields = readFields(message);
  const svids = fields.filter(({ number }) => number === 1).map(({ value }) => {
    const svid = readFields(value);
    return { spiffeId: textOf(svid, 1), chain: bytesOf(svid, 2), key: bytesOf(svid, 3), bundle: bytesOf(svid, 4) };
  });
  return { svids, federated: readMap(fields, 3) };
}

/** `X509BundlesResponse`. */
export function encodeX509Bundles(bundles: ReadonlyMap<string, Uint8Array>): Buffer {
  return Buffer.concat(encodeMap(2, bundles));
}

/** `JWTBundlesResponse`: JWK Sets by the SPIFFE ID of their trust domains. */
export function encodeJwtBundles(bundles: ReadonlyMap<string, string>): Buffer {
  return Buffer.concat(encodeMap(1, bundles));
}

/** `JWTSVIDRequest`. @throws MessageError */
export function decodeJwtSvidRequest(message: Buffer): { readonly audience: readonly string[]; readonly spiffeId: string } {
  const fields = readFields(message);
  return { audience: fields.filter(({ number }) => number === 1).map(({ value }) => value.toString('utf8')), spiffeId: textOf(fields, 2) };
}

export function encodeJwtSvidRequest(audience: readonly string[]): Buffer {
  return Buffer.concat(audience.map((each) => bytesField(1, each)));
}

/** `JWTSVIDResponse`. */
export function encodeJwtSvids(svids: readonly JwtSvidMessage[]): Buffer {
  return Buffer.concat(svids.map(({ spiffeId, token }) => bytesField(1, Buffer.concat([bytesField(1, spiffeId), bytesField(2, token)]))));
}

/** @throws MessageError */
export function decodeJwtSvids(message: Buffer): JwtSvidMessage[] {
  return readFields(message).filter(({ number }) => number === 1).map(({ value }) => {
    const svid = readFields(value);
    return { spiffeId: textOf(svid, 1), token: textOf(svid, 2) };
  });
}

/** `ValidateJWTSVIDRequest`. @throws MessageError */
export function decodeValidateRequest(message: Buffer): { readonly audience: string; readonly token: string } {
  const fields = readFields(message);
  return { audience: textOf(fields, 1), token: textOf(fields, 2) };
}

/** `ValidateJWTSVIDResponse`, its claims as a `google.protobuf.Struct`. */
export function encodeValidated(spiffeId: string, claims: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.concat([bytesField(1, spiffeId), bytesField(2, struct(claims))]);
}

function struct(value: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.concat(Object.entries(value).map(([key, member]) => mapField(1, key, protobufValue(member))));
}

/** `google.protobuf.Value` of what JSON can hold. */
function protobufValue(value: unknown): Buffer {
  if (typeof value === 'number') return doubleField(2, value);
  if (typeof value === 'string') return bytesField(3, value);
  if (typeof value === 'boolean') return varintField(4, value ? 1 : 0);
  if (Array.isArray(value)) return bytesField(6, Buffer.concat(value.map((item) => bytesField(1, protobufValue(item)))));
  if (typeof value === 'object' && value !== null) return bytesField(5, struct(value as Record<string, unknown>));
  return varintField(1, 0);
}

/**
 * Certificates in DER that stand one after another, as PEM.
 *
 * @throws MessageError when the bytes are something else
 */
export function splitCertificates(der: Uint8Array): string[] {
  const result: string[] = [];
  const bytes = Buffer.from(der);
  for (let at = 0; at < bytes.length; ) {
    // A certificate is a SEQUENCE longer than 255 bytes and shorter than 64 KiB: 0x30 0x82 and two bytes of length.
    if (bytes.length < at + 4 || bytes.readUInt16BE(at) !== 0x3082) throw new MessageError('certificates are not in DER');
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) throw new MessageError('a certificate is cut off');
    result.push(toPem('CERTIFICATE', bytes.subarray(at, end)));
    at = end;
  }
  return result;
}

function encodeMap(number: number, entries: ReadonlyMap<string, Uint8Array | string>): Buffer[] {
  return [...entries].map(([key, value]) => mapField(number, key, value));
}
