import { Encoder } from '../hpack/encoder.ts';
import { Field, INDEXING } from '../hpack/field.ts';
import { Connection } from './connection.ts';
import type { Options } from './handler.ts';
import { recording } from './peer.fixture.ts';
import { FLAG, PREFACE, TYPE } from './protocol.ts';

/** A frame as it is on the wire. */
export function frame(type: number, flags: number, id: number, payload: Buffer | readonly number[] = []): Buffer {
  const bytes = Buffer.from(payload);
  const header = Buffer.alloc(9);
  header.writeUIntBE(bytes.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, bytes]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
}

/** A header block that uses no dynamic table, whatever it holds. */
export function block(pairs: readonly (readonly [name: string, value: string])[]): Buffer {
  const encoder = new Encoder({ huffman: false, eager: false });
  const length = encoder.encode(pairs.map(([name, value]) => new Field(name, value, INDEXING.NEVER)));
  return Buffer.from(encoder.buffer.subarray(0, length));
}

export const GET = [[':method', 'GET'], [':scheme', 'http'], [':authority', 'shop'], [':path', '/']] as const;
export const POST = [[':method', 'POST'], ...GET.slice(1)] as const;

export function headers(id: number, pairs: readonly (readonly [name: string, value: string])[] = GET, flags: number = FLAG.END_STREAM): Buffer {
  return frame(TYPE.HEADERS, flags | FLAG.END_HEADERS, id, block(pairs));
}

export const data = (id: number, text: string, flags = 0): Buffer => frame(TYPE.DATA, flags, id, Buffer.from(text));
export const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([id >>> 8, id]), uint32(value)]);
export const settings = (...list: Buffer[]): Buffer => frame(TYPE.SETTINGS, 0, 0, Buffer.concat(list));
export const windowUpdate = (id: number, increment: number): Buffer => frame(TYPE.WINDOW_UPDATE, 0, id, uint32(increment));
export const reset = (id: number, code: number): Buffer => frame(TYPE.RST_STREAM, 0, id, uint32(code));

const NAMES = Object.fromEntries(Object.entries(TYPE).map(([name, type]) => [type, name])) as Record<number, string>;
/** Types whose payload ends with a code or count that tests look at, and where that is. */
const CODE_AT: Readonly<Record<number, number | undefined>> = { [TYPE.RST_STREAM]: 0, [TYPE.GOAWAY]: 4, [TYPE.WINDOW_UPDATE]: 0 };

/** Frames as `TYPE id code`, DATA and HEADERS with their length and `end`. */
export function described(pieces: readonly Buffer[]): string[] {
  const bytes = Buffer.concat(pieces);
  const result: string[] = [];
  for (let at = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const codeAt = CODE_AT[type];
    const detail = codeAt === undefined ? String(length) : String(bytes.readUInt32BE(at + 9 + codeAt));
    const flag = type === TYPE.DATA || type === TYPE.HEADERS ? (flags & FLAG.END_STREAM ? ' end' : '') : flags & FLAG.ACK ? ' ack' : '';
    result.push(`${NAMES[type]} ${bytes.readUInt32BE(at + 5)} ${detail}${flag}`);
    at += 9 + length;
  }
  return result;
}

/** A connection that got past the greeting, and what it told since. */
export function greeted(role: 'server' | 'client', options: Partial<Options> = {}) {
  const { events, handler } = recording();
  const connection = new Connection<null>({ ...options, role }, handler);
  connection.start();
  if (role === 'server') connection.receive(PREFACE);
  connection.receive(settings());
  connection.takeOutput();
  return { connection, events, output: () => described(connection.takeOutput()) };
}
