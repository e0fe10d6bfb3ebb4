import type { Files } from './model.ts';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** 1980-01-01, the earliest date that the format knows: when a file was packed says nothing. */
const DATE = 0x0021;
const UTF8 = 0x0800;
const VERSION = 20;

/**
 * Packs a bundle into a zip that is the same for the same files, byte for byte: stored, in order of path, without times
 * or attributes. So a verifier can pack again and compare, and no byte of the container is left unchecked.
 *
 * @throws Error for more than 65 535 files or 4 GiB, which need the ZIP64 format
 */
export function packBundle(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const sorted: Files = new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
  const body: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [name, content] of sorted) {
    const encoded = Buffer.from(name, 'utf8');
    const shared = entryFields(content, encoded.length);
    const local = Buffer.concat([uint32(LOCAL), uint16(VERSION), shared, encoded, content]);
    directory.push(uint32(CENTRAL), uint16(VERSION), uint16(VERSION), shared, Buffer.alloc(10), uint32(offset), encoded);
    body.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  if (sorted.size > 0xffff || offset + central.length > 0xffffffff) throw new Error('the bundle is too large for a zip; export a shorter period');
  const count = uint16(sorted.size);
  const end = Buffer.concat([uint32(END), Buffer.alloc(4), count, count, uint32(central.length), uint32(offset), uint16(0)]);
  return Buffer.concat([...body, central, end]);
}

/** What the local and the central header of an entry have in common, from the flags to the length of the extra field. */
function entryFields(content: Uint8Array, nameLength: number): Uint8Array {
  return Buffer.concat([
    uint16(UTF8), uint16(0), uint16(0), uint16(DATE),
    uint32(crc32(content)), uint32(content.length), uint32(content.length), uint16(nameLength), uint16(0),
  ]);
}

function uint16(value: number): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ (TABLE[(value ^ byte) & 0xff] ?? 0);
  return (value ^ 0xffffffff) >>> 0;
}
