/** Raised for bytes that are no message of the Workload API. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
}

/** A field as it stands in a message: wire types 0 (varint), 1 (eight bytes) and 2 (bytes) of protobuf. */
export interface WireField {
  readonly number: number;
  readonly value: Buffer;
}

const MAX_FIELDS = 4096;

/** Fields in order. Varints and fixed numbers come as their raw bytes: the Workload API's requests and answers need none. @throws MessageError */
export function readFields(message: Buffer): WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  while (at < message.length) {
    if (fields.length >= MAX_FIELDS) throw new MessageError('message has too many fields');
    const key = readVarint(message, at);
    const start = key.end;
    const end = endOf(message, start, key.value & 7);
    if (end.end > message.length) throw new MessageError('message is cut off');
    fields.push({ number: key.value >>> 3, value: message.subarray(end.start, end.end) });
    at = end.end;
  }
  return fields;
}

function endOf(message: Buffer, start: number, wireType: number): { start: number; end: number } {
  if (wireType === 0) return { start, end: readVarint(message, start).end };
  if (wireType === 1) return { start, end: start + 8 };
  if (wireType === 5) return { start, end: start + 4 };
  if (wireType !== 2) throw new MessageError('message has a group, which protobuf 3 has not');
  const length = readVarint(message, start);
  return { start: length.end, end: length.end + length.value };
}

function readVarint(message: Buffer, start: number): { value: number; end: number } {
  let value = 0;
  for (let index = 0; index < 10; index += 1) {
    const byte = message[start + index];
    if (byte === undefined) throw new MessageError('message is cut off');
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  throw new MessageError('message has a number that is too large');
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

/** A field of bytes, text or an embedded message. Empty ones are left out, as proto3 has it, unless they are elements. */
export function bytesField(number: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A varint field. */
export function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

/** A `double` field. */
export function doubleField(number: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([varint(number * 8 + 1), bytes]);
}

/** One entry of a `map<string, …>` field. */
export function mapField(number: number, key: string, value: Uint8Array | string): Buffer {
  return bytesField(number, Buffer.concat([bytesField(1, key), bytesField(2, value)]));
}

/** Values of a `map<string, …>` field by key. @throws MessageError for a key that comes twice */
export function readMap(fields: readonly WireField[], number: number): Map<string, Buffer> {
  const result = new Map<string, Buffer>();
  for (const field of fields.filter((each) => each.number === number)) {
    const parts = readFields(field.value);
    const key = textOf(parts, 1);
    if (result.has(key)) throw new MessageError('map has a key twice');
    result.set(key, bytesOf(parts, 2));
  }
  return result;
}

/** The last value of a field, or no bytes. */
export function bytesOf(fields: readonly WireField[], number: number): Buffer {
  return fields.findLast((field) => field.number === number)?.value ?? Buffer.alloc(0);
}

/** The same as text. */
export function textOf(fields: readonly WireField[], number: number): string {
  return bytesOf(fields, number).toString('utf8');
}
