import { copyBytes, equalsIgnoreCase, startsIgnoreCase, textOf, TOKEN, VALUE, writeLatin1 } from '../bytes.ts';
import type { Fields, FieldPair } from './fields.ts';
import type { RequestHead, ResponseHead } from './head.ts';
import { FIELD, HOP_BY_HOP } from './known-fields.ts';
import { eachConnectionOption } from './rules.ts';

/** Fields that do not pass a proxy: compiled once, asked for every field. */
export interface Removal {
  readonly bits: number;
  readonly names: readonly string[];
  readonly prefixes: readonly string[];
  /** 1 for each byte, in either case, that a name or prefix begins with: most fields are passed by this alone. */
  readonly first: Uint8Array;
}

/** Names and prefixes are in lower case. Hop-by-hop fields are always removed. */
export function compileRemoval(names: readonly string[], prefixes: readonly string[]): Removal {
  return compiled(HOP_BY_HOP, names, prefixes);
}

function compiled(bits: number, names: readonly string[], prefixes: readonly string[]): Removal {
  const first = new Uint8Array(256);
  for (const text of [...names, ...prefixes]) for (const letter of [text, text.toUpperCase()]) first[letter.charCodeAt(0)] = 1;
  return { bits, names, prefixes, first };
}

/** RFC 9110 §6.5.1: no "fields … that describe framing, routing, authentication, request modifiers, response controls or content format" in trailers. */
export const NO_TRAILERS = compileRemoval(
  ['authorization', 'cookie', 'set-cookie', 'content-encoding', 'content-type', 'content-range', 'cache-control', 'max-forwards', 'range', 'www-authenticate'],
  ['if-'],
);
const NO_TRAILER_BITS = FIELD.HOST | FIELD.CONTENT_LENGTH | FIELD.TRANSFER_ENCODING | FIELD.EXPECT | FIELD.TRAILER | HOP_BY_HOP;

/** What a peer may not have us drop by naming it in `Connection`. */
const NOT_NOMINABLE = ['host', 'content-length', 'transfer-encoding', 'expect', 'traceparent', 'authorization', 'cookie'];

function removes(removal: Removal, fields: Fields, index: number): boolean {
  if ((fields.bit(index) & removal.bits) !== 0) return true;
  return removal.first[fields.buffer[fields.nameStart(index)]!] !== 0 && isNamed(removal, fields, index);
}

function isNamed({ names, prefixes }: Removal, fields: Fields, index: number): boolean {
  const start = fields.nameStart(index);
  const end = fields.nameEnd(index);
  for (const name of names) if (equalsIgnoreCase(fields.buffer, start, end, name)) return true;
  for (const prefix of prefixes) if (startsIgnoreCase(fields.buffer, start, end, prefix)) return true;
  return false;
}

/** True when `removal` names a field itself, whose name is given in lower case; which ones are hop-by-hop the caller knows. */
export function removesName({ names, prefixes, first }: Removal, name: string): boolean {
  return first[name.charCodeAt(0)] === 1 && (names.includes(name) || prefixes.some((prefix) => name.startsWith(prefix)));
}

/** What becomes of a head on its way through the proxy. */
export interface HeadEdits {
  readonly removal: Removal;
  /** Whole lines, made by {@link fieldLine}. */
  readonly append: string;
}

/** One header as a line of a head. @throws TypeError for a name or value that would not be one header */
export function fieldLine(name: string, value: string): string {
  if (name === '' || !textOf(name, TOKEN) || !textOf(value, VALUE)) throw new TypeError(`no valid header: ${JSON.stringify(name)}`);
  return `${name}: ${value}\r\n`;
}

/** The outgoing head of a request: `target` in its place, the rest copied in runs between what is removed. */
export function rewriteRequest(head: RequestHead, target: string, edits: HeadEdits): Buffer {
  const { buffer, fields, line, start } = head;
  const replacesHost = head.form === 'absolute';
  const removal = withNominated(head, edits.removal, replacesHost ? FIELD.HOST : 0);
  const host = replacesHost ? HOST_LINE + head.hostEnd - head.hostStart : 0;
  const startLine = line.targetStart - start + target.length + VERSION.length;
  const out = Buffer.allocUnsafe(startLine + host + keptBytes(fields, removal) + edits.append.length + END.length);
  let at = copyBytes(buffer, start, line.targetStart, out, 0);
  at = writeLatin1(out, at, target);
  // RFC 9112 §2.3: "Intermediaries that process HTTP messages … MUST send their own HTTP-version in forwarded messages".
  at = writeLatin1(out, at, VERSION);
  if (replacesHost) {
    // RFC 9112 §3.2.2: the proxy "MUST ignore the received Host header field (if any) and instead replace it with the host information of the request-target".
    at = writeLatin1(out, at, 'host: ');
    at = copyBytes(buffer, head.hostStart, head.hostEnd, out, at);
    at = writeLatin1(out, at, END);
  }
  at = copyFields(fields, removal, out, at);
  writeLatin1(out, writeLatin1(out, at, edits.append), END);
  return out;
}

const VERSION = ' HTTP/1.1\r\n';
const END = '\r\n';
const HOST_LINE = 'host: \r\n'.length;
const STATUS_LINE = 'HTTP/1.1 200 \r\n'.length;

/**
 * The outgoing head of a response.
 *
 * @param plain true when its body, if there is any, is not sent in chunks, however it came
 */
export function rewriteResponse(head: ResponseHead, edits: HeadEdits, plain = false): Buffer {
  const { buffer, fields, line, start } = head;
  // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational) or 204 (No Content)"; RFC 9112 §6.1 says so of Transfer-Encoding.
  const noBody = head.status < 200 || head.status === 204 ? FIELD.CONTENT_LENGTH | FIELD.TRANSFER_ENCODING : 0;
  const chunks = plain ? fields.seen & FIELD.TRANSFER_ENCODING : 0;
  const removal = withNominated(head, edits.removal, noBody | chunks);
  const reason = line.reasonEnd - line.reasonStart;
  const out = Buffer.allocUnsafe(STATUS_LINE + reason + keptBytes(fields, removal) + edits.append.length + END.length);
  let at = writeLatin1(out, 0, 'HTTP/1.1 ');
  at = copyBytes(buffer, start + 9, start + 12, out, at);
  at = writeLatin1(out, at, ' ');
  at = copyBytes(buffer, line.reasonStart, line.reasonEnd, out, at);
  at = writeLatin1(out, at, END);
  at = copyFields(fields, removal, out, at);
  writeLatin1(out, writeLatin1(out, at, edits.append), END);
  return out;
}

/** Trailers that may be passed on, as lines with the empty one after them. */
export function trailerLines(fields: Fields, removal: Removal): string {
  let lines = '';
  for (let i = 0; i < fields.count; i += 1) {
    const dropped = (fields.bit(i) & NO_TRAILER_BITS) !== 0 || removes(NO_TRAILERS, fields, i) || removes(removal, fields, i);
    if (!dropped) lines += `${fields.name(i)}: ${fields.value(i)}\r\n`;
  }
  return `${lines}\r\n`;
}

/** The headers that pass on, as text: for policies and for the other version of HTTP. */
export function keptFields(head: RequestHead | ResponseHead, removal: Removal): FieldPair[] {
  const all = withNominated(head, removal, 0);
  const kept: FieldPair[] = [];
  for (let i = 0; i < head.fields.count; i += 1) if (!removes(all, head.fields, i)) kept.push([head.fields.name(i), head.fields.value(i)]);
  return kept;
}

/** The fields that go: the usual ones, `bits`, and those that the Connection field names. */
function withNominated(head: RequestHead | ResponseHead, removal: Removal, bits: number): Removal {
  if (!head.nominates) return bits === 0 ? removal : { ...removal, bits: removal.bits | bits };
  const names = [...removal.names];
  eachConnectionOption(head, (buffer, start, end) => {
    const name = buffer.toString('latin1', start, end).toLowerCase();
    if (!NOT_NOMINABLE.includes(name)) names.push(name);
  });
  return compiled(removal.bits | bits, names, removal.prefixes);
}

/** Where the line after this field's starts. */
function lineEnd(fields: Fields, index: number): number {
  return index + 1 < fields.count ? fields.nameStart(index + 1) : fields.end;
}

function keptBytes(fields: Fields, removal: Removal): number {
  let kept = fields.end - fields.start;
  for (let i = 0; i < fields.count; i += 1) if (removes(removal, fields, i)) kept -= lineEnd(fields, i) - fields.nameStart(i);
  return kept;
}

function copyFields(fields: Fields, removal: Removal, out: Buffer, from: number): number {
  let at = from;
  let run = fields.start;
  for (let i = 0; i < fields.count; i += 1) {
    if (!removes(removal, fields, i)) continue;
    at = copyBytes(fields.buffer, run, fields.nameStart(i), out, at);
    run = lineEnd(fields, i);
  }
  return copyBytes(fields.buffer, run, fields.end, out, at);
}
