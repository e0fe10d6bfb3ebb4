/** One value of DER: its identifier byte and its content. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
}

const MAX_DEPTH = 16;

/**
 * Reads the values that stand in `bytes`, one after another, and nothing but DER (X.690 §10.1: "The definite form of
 * length encoding shall be used, encoded in the minimum number of octets"), all the way down. Many times faster than
 * building a tree and encoding it again, which is what every handshake would wait for.
 *
 * @throws Error for anything else
 */
export function readDer(bytes: Buffer, depth = 0): DerValue[] {
  if (depth > MAX_DEPTH) throw new Error('nested too deeply');
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] ?? 0;
    // Certificates use no tag of more than one byte.
    if ((tag & 0x1f) === 0x1f) throw new Error('a tag of several bytes');
    const { start, end } = extent(bytes, at + 1);
    const content = bytes.subarray(start, end);
    if ((tag & 0x20) !== 0) readDer(content, depth + 1);
    // X.690 §11.1: "If the encoding represents the boolean value TRUE, its single contents octet shall have all eight bits set to one."
    else if (tag === 0x01 && (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))) throw new Error('a boolean that is none');
    values.push({ tag, content });
    at = end;
  }
  return values;
}

function extent(bytes: Buffer, at: number): { start: number; end: number } {
  const first = bytes[at];
  if (first === undefined) throw new Error('cut off');
  const size = first & 0x7f;
  if (first < 0x80) return within(bytes, at + 1, first);
  if (size === 0 || size > 3) throw new Error('a length that is none');
  let length = 0;
  for (let index = 1; index <= size; index += 1) length = length * 256 + (bytes[at + index] ?? 0);
  if (length < 0x80 || length < 256 ** (size - 1)) throw new Error('a length that is not minimal');
  return within(bytes, at + 1 + size, length);
}

function within(bytes: Buffer, start: number, length: number): { start: number; end: number } {
  if (start + length > bytes.length) throw new Error('cut off');
  return { start, end: start + length };
}
