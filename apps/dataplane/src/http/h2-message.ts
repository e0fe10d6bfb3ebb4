import { randomBytes } from 'node:crypto';
import { type Field, field, type FieldPair, KIND, type MessageHead, NO_TRAILERS, type Removal, removesName } from '../wire/index.ts';
import type { Edits, RequestMessage, ResponseMessage, Trailers } from './exchange.ts';

/** RFC 9110 §7.6.1: what concerns one connection only. */
const HOP_BY_HOP = KIND.CONNECTION | KIND.TE | KIND.PROXY;
const FRAMING = KIND.CONTENT_LENGTH | KIND.HOST | KIND.EXPECT;
const PSEUDO = KIND.METHOD | KIND.SCHEME | KIND.AUTHORITY | KIND.PATH | KIND.PROTOCOL | KIND.STATUS | KIND.OTHER_PSEUDO;
/** RFC 9110 §9.3: methods whose requests usually have no content, so that none need be announced. */
const NO_CONTENT = ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE', 'CONNECT'];
/** RFC 9113 §8.2.2: TE may say `trailers` and nothing else. We pass trailers on, and gRPC servers want to read it. */
const TE_TRAILERS = field('te', 'trailers');

function passes({ kind, name }: Field, removal: Removal): boolean {
  return (kind & HOP_BY_HOP) === 0 && !removesName(removal, name);
}

/** Regular fields as text. RFC 9113 §8.2.3: crumbs of a cookie "MUST be concatenated into a single octet string using the two-octet delimiter of 0x3b, 0x20". */
function pairs(head: MessageHead, keep: (field: Field) => boolean): FieldPair[] {
  const kept: FieldPair[] = [];
  let cookieAt = -1;
  for (let i = head.regular; i < head.fields.length; i += 1) {
    const each = head.fields[i]!;
    if (!keep(each)) continue;
    const crumb = (each.kind & KIND.COOKIE) !== 0;
    if (crumb && cookieAt >= 0) kept[cookieAt] = ['cookie', `${kept[cookieAt]![1]}; ${each.value}`];
    else kept.push([each.name, each.value]);
    if (crumb && cookieAt < 0) cookieAt = kept.length - 1;
  }
  return kept;
}

function lines(list: readonly FieldPair[], { added }: Edits): string {
  let text = '';
  for (const [name, value] of list) text += `${name}: ${value}\r\n`;
  for (const own of added) text += own.line;
  return text;
}

/** The regular fields that go on, the same objects, with ours after them. */
function kept(head: MessageHead, { removal, added }: Edits, into: Field[]): Field[] {
  for (let i = head.regular; i < head.fields.length; i += 1) {
    const each = head.fields[i]!;
    if ((each.kind & KIND.HOST) === 0 && passes(each, removal)) into.push(each);
  }
  for (const own of added) into.push(own.field);
  return into;
}

function valueOf(head: MessageHead, name: string): string | null {
  if (name === 'cookie') return pairs(head, ({ kind }) => (kind & KIND.COOKIE) !== 0)[0]?.[1] ?? null;
  for (let i = head.regular; i < head.fields.length; i += 1) if (head.fields[i]!.name === name) return head.fields[i]!.value;
  return null;
}

/** A request that came by HTTP/2, RFC 9113 §8.3.1. */
export class H2Request implements RequestMessage {
  readonly version = '2';
  readonly webSocket: boolean;
  readonly size: number;
  readonly #head: MessageHead;
  readonly #ended: boolean;

  /** @param ended true when nothing follows the head */
  constructor(head: MessageHead, ended: boolean) {
    this.#head = head;
    this.#ended = ended;
    // RFC 8441 §4: an extended CONNECT; its protocol is compared as RFC 6455 §4.1 compares that of `Upgrade`.
    this.webSocket = head.method === 'CONNECT' && head.protocol.toLowerCase() === 'websocket';
    this.size = ended || this.webSocket ? 0 : head.contentLength;
  }

  get method(): string {
    // What policies know is the request that RFC 6455 §4.1 makes for the same end.
    return this.webSocket ? 'GET' : this.#head.method;
  }

  get host(): string {
    return this.#head.authority;
  }

  get target(): string {
    return this.#head.path;
  }

  get expectsContinue(): boolean {
    return this.#head.expectsContinue && !this.#ended;
  }

  header(name: string): string | null {
    return name === 'host' ? this.#head.authority : valueOf(this.#head, name);
  }

  fields(removal: Removal): FieldPair[] {
    return [['host', this.#head.authority], ...pairs(this.#head, (each) => (each.kind & KIND.HOST) === 0 && passes(each, removal))];
  }

  /** RFC 9113 §8.3.1: "An intermediary that needs to generate a Host header field … to construct an HTTP/1.1 request … creates it from the value of the ":authority" pseudo-header field". */
  toHttp1(target: string, edits: Edits): Buffer {
    const head = this.#head;
    const list = pairs(head, (each) => (each.kind & KIND.HOST) === 0 && passes(each, edits.removal));
    const text = `${this.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n${this.#framing()}${lines(list, edits)}\r\n`;
    return Buffer.from(text, 'latin1');
  }

  #framing(): string {
    // RFC 8441 §5: the fields of RFC 6455 that HTTP/2 does not have.
    if (this.webSocket) return `connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ${randomBytes(16).toString('base64')}\r\n`;
    if (this.#head.contentLength >= 0) return '';
    if (!this.#ended) return 'transfer-encoding: chunked\r\n';
    // RFC 9110 §8.6: a length of 0 "when the method … defines a meaning for enclosed content".
    return NO_CONTENT.includes(this.#head.method) ? '' : 'content-length: 0\r\n';
  }

  toHttp2(target: string, edits: Edits): Field[] {
    const head = this.#head;
    const out: Field[] = [];
    let authority = false;
    let te = false;
    for (const each of head.fields) {
      const { kind, value } = each;
      if ((kind & KIND.TE) !== 0) te = true;
      if ((kind & PSEUDO) === 0) continue;
      if ((kind & KIND.AUTHORITY) !== 0) authority = true;
      out.push((kind & KIND.PATH) !== 0 && value !== target ? field(':path', target) : each);
    }
    if (!authority && head.authority !== '') out.push(field(':authority', head.authority));
    if (te) out.push(TE_TRAILERS);
    return kept(head, edits, out);
  }

  withFields(fields: readonly FieldPair[]): RequestMessage {
    const head = this.#head;
    const own = head.fields.filter(({ kind }, index) => index < head.regular || (kind & (FRAMING | KIND.TE)) !== 0);
    for (const [name, value] of fields) {
      const made = field(name.toLowerCase(), value);
      if ((made.kind & (FRAMING | HOP_BY_HOP | PSEUDO)) === 0) own.push(made);
    }
    return new H2Request({ ...head, fields: own }, this.#ended);
  }
}

/** What an answer is an answer to, as far as its form depends on it. */
export interface Answered {
  readonly method: string;
  /** Null unless a WebSocket was asked for; then what RFC 6455 §4.2.2 has a server say, or '' to a caller by HTTP/2. */
  readonly webSocketAccept: string | null;
}

/** An answer that came by HTTP/2, RFC 9113 §8.3.2. */
export class H2Response implements ResponseMessage {
  readonly status: number;
  readonly size: number;
  readonly #head: MessageHead;
  readonly #to: Answered;
  readonly #ended: boolean;

  /** @param ended true when nothing follows the head */
  constructor(head: MessageHead, to: Answered, ended: boolean) {
    this.#head = head;
    this.#to = to;
    this.#ended = ended;
    // RFC 8441 §5: a 2xx is to an extended CONNECT what 101 is to an upgrade.
    this.status = to.webSocketAccept !== null && head.status < 300 && head.status >= 200 ? 101 : head.status;
    this.size = ended ? 0 : head.contentLength;
  }

  header(name: string): string | null {
    return valueOf(this.#head, name);
  }

  fields(removal: Removal): FieldPair[] {
    return pairs(this.#head, (each) => passes(each, removal));
  }

  toHttp1(edits: Edits, how: { readonly close: boolean; readonly chunked: boolean; readonly webSocket: boolean }): Buffer {
    const { status } = this;
    // RFC 9110 §8.6: no Content-Length "in any response with a status code of 1xx (Informational) or 204 (No Content)".
    const noLength = status < 200 || status === 204;
    const list = pairs(this.#head, (each) => passes(each, edits.removal) && !(noLength && (each.kind & KIND.CONTENT_LENGTH) !== 0));
    const connection = how.webSocket ? 'connection: Upgrade\r\nupgrade: websocket\r\n' : how.close ? 'connection: close\r\n' : '';
    const text = `HTTP/1.1 ${status} \r\n${connection}${this.#framing(how.chunked)}${lines(list, edits)}\r\n`;
    return Buffer.from(text, 'latin1');
  }

  #framing(chunked: boolean): string {
    const { status } = this;
    if (status === 101) return `sec-websocket-accept: ${this.#to.webSocketAccept ?? ''}\r\n`;
    if (chunked) return 'transfer-encoding: chunked\r\n';
    const none = status < 200 || status === 204 || status === 304 || this.#to.method === 'HEAD';
    return this.#ended && !none && this.#head.contentLength < 0 ? 'content-length: 0\r\n' : '';
  }

  toHttp2(edits: Edits): Field[] {
    return kept(this.#head, edits, [this.#head.fields[0]!]);
  }
}

/** Fields after a body that came by HTTP/2. */
export class H2Trailers implements Trailers {
  readonly #fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
  }

  toHttp1(removal: Removal): string {
    return `${this.toHttp2(removal).map(({ name, value }) => `${name}: ${value}\r\n`).join('')}\r\n`;
  }

  toHttp2(removal: Removal): Field[] {
    return this.#fields.filter((each) => (each.kind & (FRAMING | PSEUDO | KIND.TRAILER)) === 0 && passes(each, NO_TRAILERS) && passes(each, removal));
  }
}
