import forge from 'node-forge';

const { asn1 } = forge;

/** One node of an ASN.1 tree. */
export type Der = forge.asn1.Asn1;

const UNIVERSAL = asn1.Class.UNIVERSAL;
const bytes = (buffer: Uint8Array) => Buffer.from(buffer).toString('binary');

export const sequence = (...items: readonly Der[]): Der => asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, [...items]);
export const set = (...items: readonly Der[]): Der => asn1.create(UNIVERSAL, asn1.Type.SET, true, [...items]);
export const oid = (dotted: string): Der =>
  asn1.create(UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes());
export const boolean = (value: boolean): Der =>
  asn1.create(UNIVERSAL, asn1.Type.BOOLEAN, false, String.fromCharCode(value ? 0xff : 0));
/** The value NULL, which the parameters of an RSA algorithm must be (RFC 4055 §5). */
export const nothing = (): Der => asn1.create(UNIVERSAL, asn1.Type.NULL, false, '');
export const octets = (value: Uint8Array): Der => asn1.create(UNIVERSAL, asn1.Type.OCTETSTRING, false, bytes(value));
/** Bit string whose last byte has `unused` bits that do not count. */
export const bits = (value: Uint8Array, unused = 0): Der =>
  asn1.create(UNIVERSAL, asn1.Type.BITSTRING, false, String.fromCharCode(unused) + bytes(value));
export const utf8 = (text: string): Der =>
  asn1.create(UNIVERSAL, asn1.Type.UTF8, false, Buffer.from(text, 'utf8').toString('binary'));
/** Context-specific tag around children, or around raw bytes when `value` is a buffer. */
export const tagged = (tag: number, value: readonly Der[] | Uint8Array): Der =>
  value instanceof Uint8Array
    ? asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, bytes(value))
    : asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, true, [...value]);

/** INTEGER from unsigned big-endian bytes: leading zeros dropped, one added where the sign bit would be set. */
export function integer(value: Uint8Array): Der {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start += 1;
  const trimmed = Buffer.from(value.subarray(start));
  const padded = (trimmed[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed;
  return asn1.create(UNIVERSAL, asn1.Type.INTEGER, false, bytes(padded));
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after. Seconds are the finest unit. */
export function time(at: number): Der {
  const date = new Date(at);
  return date.getUTCFullYear() < 2050
    ? asn1.create(UNIVERSAL, asn1.Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(UNIVERSAL, asn1.Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

/** Encodes a tree as DER. */
export function encode(tree: Der): Buffer {
  return Buffer.from(asn1.toDer(tree).getBytes(), 'binary');
}

/**
 * Reads DER and nothing but DER: forge tolerates BER lengths even when strict, so the tree must encode to the input.
 *
 * @throws Error when the bytes are not the one DER encoding of a value
 */
export function decode(der: Uint8Array): Der {
  // decodeBitStrings off: by default forge replaces a bit string's bytes by what they look like. Its types lag behind.
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false } as unknown as boolean;
  const tree = asn1.fromDer(forge.util.createBuffer(bytes(der)), options);
  if (!encode(tree).equals(Buffer.from(der))) throw new Error('not canonical DER');
  return tree;
}

/** Children of a constructed node. @throws Error when the node is primitive */
export function children(tree: Der | undefined): Der[] {
  if (!tree || !Array.isArray(tree.value)) throw new Error('expected a constructed ASN.1 value');
  return tree.value;
}

/** Content bytes of a primitive node. @throws Error when the node is constructed */
export function content(tree: Der | undefined): Buffer {
  if (!tree || typeof tree.value !== 'string') throw new Error('expected a primitive ASN.1 value');
  return Buffer.from(tree.value, 'binary');
}

/** Dotted form of an OID node. */
export function readOid(tree: Der | undefined): string {
  return asn1.derToOid(forge.util.createBuffer(bytes(content(tree))));
}
