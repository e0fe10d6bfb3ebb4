import { BODY, type Field, field, type FieldPair, type Fields, fieldLine, keptFields, type Removal, removesName, type RequestHead, type ResponseHead, rewriteRequest, rewriteResponse, trailerLines } from '../wire/index.ts';
import type { Edits, RequestMessage, ResponseMessage, Trailers } from './exchange.ts';
import type { OwnField } from './own-field.ts';

/** RFC 6455 §4.1: what the handshake of a WebSocket says besides its `Sec-WebSocket-` fields. */
const TO_WEB_SOCKET = 'connection: Upgrade\r\nupgrade: websocket\r\n';
const CHUNKED = 'transfer-encoding: chunked\r\n';
const CLOSE = 'connection: close\r\n';
/** RFC 9113 §8.2.2: the one value that TE may have. */
const TE_TRAILERS = field('te', 'trailers');

export function ownLines(added: readonly OwnField[]): string {
  let lines = '';
  for (const own of added) lines += own.line;
  return lines;
}

function ownFields(added: readonly OwnField[], into: Field[]): Field[] {
  for (const own of added) into.push(own.field);
  return into;
}

/** RFC 9110 §8.6 and RFC 9112 §6: how many bytes a head announces; -1 when it does not say. */
function sizeOf(head: RequestHead | ResponseHead): number {
  if (head.body === BODY.NONE) return 0;
  return head.body === BODY.LENGTH ? head.length : -1;
}

/** The end-to-end fields as text. Transfer codings are of this connection, RFC 9112 §6.1. */
function endToEnd(head: RequestHead | ResponseHead, removal: Removal): FieldPair[] {
  const kept = keptFields(head, removal);
  return head.body === BODY.CHUNKED ? kept.filter(([name]) => name !== 'transfer-encoding') : kept;
}

/** A request that came by HTTP/1. */
export class Http1Request implements RequestMessage {
  readonly version: '1.0' | '1.1';
  readonly method: string;
  readonly size: number;
  readonly expectsContinue: boolean;
  readonly webSocket: boolean;
  readonly #head: RequestHead;

  constructor(head: RequestHead) {
    this.#head = head;
    this.version = head.minor === 0 ? '1.0' : '1.1';
    this.method = head.method;
    this.size = sizeOf(head);
    this.expectsContinue = head.expectsContinue;
    // RFC 6455 §4.1: "The method of the request MUST be GET", and the keyword is compared without regard to case.
    this.webSocket = head.upgrade && head.method === 'GET' && head.body === BODY.NONE && head.header('upgrade')?.toLowerCase() === 'websocket';
  }

  get host(): string {
    return this.#head.host;
  }

  get target(): string {
    return this.#head.target;
  }

  header(name: string): string | null {
    return this.#head.header(name);
  }

  fields(removal: Removal): FieldPair[] {
    return endToEnd(this.#head, removal);
  }

  toHttp1(target: string, { removal, added }: Edits): Buffer {
    const own = ownLines(added);
    return rewriteRequest(this.#head, target, { removal, append: this.webSocket ? own + TO_WEB_SOCKET : own });
  }

  toHttp2(target: string, { removal, added }: Edits): Field[] {
    return ownFields(added, requestFields(this, target, endToEnd(this.#head, removal)));
  }

  withFields(fields: readonly FieldPair[]): RequestMessage {
    return new ChangedRequest(this, fields);
  }
}

/** RFC 9113 §8.3.1; RFC 8441 §4 for a WebSocket. `Host` becomes `:authority`. */
function requestFields(request: RequestMessage, target: string, pairs: readonly FieldPair[]): Field[] {
  const { method, host, webSocket } = request;
  const out = [field(':method', webSocket ? 'CONNECT' : method), field(':scheme', 'http'), field(':path', target), field(':authority', host)];
  if (webSocket) out.push(field(':protocol', 'websocket'));
  if (acceptsTrailers(request)) out.push(TE_TRAILERS);
  // RFC 8441 §5: the key proves nothing where there is no upgrade.
  for (const [name, value] of pairs) if (name !== 'host' && !(webSocket && name === 'sec-websocket-key')) out.push(field(name, value));
  return out;
}

function acceptsTrailers(request: RequestMessage): boolean {
  return request.header('te')?.split(',').some((each) => each.trim().toLowerCase() === 'trailers') ?? false;
}

/** What no change of a request's fields may touch: framing, routing, and what is of one connection alone. */
const FIXED = new Set(['host', 'content-length', 'transfer-encoding', 'expect', 'te', 'connection', 'upgrade', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'http2-settings']);

/** A request by HTTP/1 with other fields than it came with. */
class ChangedRequest implements RequestMessage {
  readonly version: '1.0' | '1.1';
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly size: number;
  readonly expectsContinue: boolean;
  readonly webSocket: boolean;
  readonly #original: Http1Request;
  readonly #pairs: readonly FieldPair[];

  /** @throws TypeError for a name or value that would not be one field */
  constructor(original: Http1Request, fields: readonly FieldPair[]) {
    this.#original = original;
    this.version = original.version;
    this.method = original.method;
    this.host = original.host;
    this.target = original.target;
    this.size = original.size;
    this.expectsContinue = original.expectsContinue;
    this.webSocket = original.webSocket;
    const changed = fields.map(([name, value]): FieldPair => [name.toLowerCase(), value]).filter(([name]) => !FIXED.has(name) && !name.startsWith(':'));
    for (const [name, value] of changed) fieldLine(name, value);
    const framing = ['content-length', 'expect'].flatMap((name): FieldPair[] => {
      const value = original.header(name);
      return value === null ? [] : [[name, value]];
    });
    this.#pairs = [['host', original.host], ...framing, ...changed];
  }

  header(name: string): string | null {
    if (name === 'te') return this.#original.header(name);
    return this.#pairs.find(([each]) => each === name)?.[1] ?? null;
  }

  fields(removal: Removal): FieldPair[] {
    return this.#pairs.filter(([name]) => !removesName(removal, name));
  }

  toHttp1(target: string, { removal, added }: Edits): Buffer {
    let lines = '';
    for (const [name, value] of this.fields(removal)) lines += fieldLine(name, value);
    const framing = this.size < 0 ? CHUNKED : this.webSocket ? TO_WEB_SOCKET : '';
    return Buffer.from(`${this.method} ${target} HTTP/1.1\r\n${lines}${framing}${ownLines(added)}\r\n`, 'latin1');
  }

  toHttp2(target: string, { removal, added }: Edits): Field[] {
    return ownFields(added, requestFields(this, target, this.fields(removal)));
  }

  withFields(fields: readonly FieldPair[]): RequestMessage {
    return new ChangedRequest(this.#original, fields);
  }
}

/** An answer that came by HTTP/1. */
export class Http1Response implements ResponseMessage {
  readonly status: number;
  readonly size: number;
  readonly #head: ResponseHead;

  constructor(head: ResponseHead) {
    this.#head = head;
    this.status = head.status;
    this.size = sizeOf(head);
  }

  header(name: string): string | null {
    return this.#head.header(name);
  }

  fields(removal: Removal): FieldPair[] {
    return endToEnd(this.#head, removal);
  }

  toHttp1({ removal, added }: Edits, { close, chunked, webSocket }: { readonly close: boolean; readonly chunked: boolean; readonly webSocket: boolean }): Buffer {
    let append = ownLines(added);
    if (chunked && this.#head.body !== BODY.CHUNKED) append += CHUNKED;
    if (webSocket) append += TO_WEB_SOCKET;
    else if (close) append += CLOSE;
    return rewriteResponse(this.#head, { removal, append }, !chunked);
  }

  toHttp2({ removal, added }: Edits): Field[] {
    const out = [field(':status', String(this.status))];
    for (const [name, value] of endToEnd(this.#head, removal)) out.push(field(name, value));
    return ownFields(added, out);
  }
}

/** Fields after a body that came by HTTP/1 in chunks, RFC 9112 §7.1.2. */
export class Http1Trailers implements Trailers {
  readonly #fields: Fields;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  toHttp1(removal: Removal): string {
    return trailerLines(this.#fields, removal);
  }

  toHttp2(removal: Removal): Field[] {
    const lines = this.toHttp1(removal).split('\r\n').filter((line) => line !== '');
    return lines.map((line) => field(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)));
  }
}
