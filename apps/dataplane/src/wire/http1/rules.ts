import { CLASS, COLON, COMMA, decimal, DOT, equalsIgnoreCase, HEX, HTAB, REG_NAME, SLASH, SP, startsIgnoreCase } from '../bytes.ts';
import { BODY, type BodyKind, type RequestHead, type ResponseHead } from './head.ts';
import { FIELD } from './known-fields.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

/** Judges a complete request head and fills in what follows from it. Null when it is sound. */
export function settleRequest(head: RequestHead): Refusal | null {
  readConnection(head);
  head.expectsContinue = false;
  return hostProblem(head) ?? targetProblem(head) ?? framingProblem(head, BODY.NONE) ?? expectationProblem(head);
}

/** Judges a complete response head, given the method that it answers. */
export function settleResponse(head: ResponseHead, method: string): Refusal | null {
  readConnection(head);
  const { status } = head;
  const problem = framingProblem(head, BODY.UNTIL_CLOSE);
  if (problem) return problem;
  // RFC 9112 §6.3: "Any response to a HEAD request and any response with a 1xx (Informational), 204 (No Content), or 304
  // (Not Modified) status code is always terminated by the first empty line after the header fields".
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) head.body = BODY.NONE;
  if (head.body === BODY.UNTIL_CLOSE) head.persistent = false;
  return null;
}

/** RFC 9112 §3.2: 400 for "any HTTP/1.1 request message that lacks a Host header field and to any request message that contains more than one Host header field line or a Host header field with an invalid field value". HTTP/1.0 gets no exception here: policy matches hosts. */
function hostProblem(head: RequestHead): Refusal | null {
  const { fields } = head;
  if ((fields.repeated & FIELD.HOST) !== 0) return REFUSALS.twoHosts;
  const index = fields.known(FIELD.HOST);
  if (index < 0) return REFUSALS.noHost;
  head.hostStart = fields.valueStart(index);
  head.hostEnd = fields.valueEnd(index);
  return authorityProblem(head);
}

/** RFC 9110 §4.2.1: "A recipient that processes such a URI reference with an empty host identifier MUST reject it as invalid." */
function authorityProblem({ buffer, hostStart, hostEnd }: RequestHead): Refusal | null {
  return isAuthority(buffer, hostStart, hostEnd) ? null : REFUSALS.host;
}

/** `uri-host [ ":" port ]` without user information: RFC 9110 §4.2.4, "treat its presence as an error". */
function isAuthority(buffer: Buffer, start: number, end: number): boolean {
  let at = start;
  if (buffer[at] === 0x5b && end > start) at = endOfIpLiteral(buffer, start, end);
  else while (at < end && (CLASS[buffer[at]!]! & REG_NAME) !== 0) at += 1;
  if (at === start || at === end) return at !== start;
  if (buffer[at] !== COLON || end - at > 6) return false;
  for (at += 1; at < end; at += 1) if (buffer[at]! < 0x30 || buffer[at]! > 0x39) return false;
  return true;
}

/** Where an address in brackets ends, or `start` when it is none. */
function endOfIpLiteral(buffer: Buffer, start: number, end: number): number {
  let at = start + 1;
  while (at < end && (HEX[buffer[at]!]! >= 0 || buffer[at] === COLON || buffer[at] === DOT)) at += 1;
  return at < end && buffer[at] === 0x5d && at > start + 2 ? at + 1 : start;
}

function targetProblem(head: RequestHead): Refusal | null {
  const { line, buffer } = head;
  const first = buffer[line.targetStart];
  // RFC 9112 §3.2.3: authority-form "is only used for CONNECT requests"; tunnels come by HTTP/2 alone.
  if (line.method === 'CONNECT') return REFUSALS.connect;
  head.pathStart = line.targetStart;
  head.form = 'origin';
  if (first === SLASH) return null;
  // RFC 9112 §3.2.4: asterisk-form "is only used for a server-wide OPTIONS request".
  if (first === 0x2a && line.targetEnd === line.targetStart + 1) {
    head.form = 'asterisk';
    return line.method === 'OPTIONS' ? null : REFUSALS.targetForm;
  }
  return absoluteProblem(head);
}

const SCHEMES = ['http://', 'https://'];

/** RFC 9112 §3.2.2: "the server MUST ignore the received Host header field (if any) and instead use the host information of the request-target". */
function absoluteProblem(head: RequestHead): Refusal | null {
  const { buffer } = head;
  const { targetStart, targetEnd } = head.line;
  const scheme = SCHEMES.find((each) => startsIgnoreCase(buffer, targetStart, targetEnd, each));
  if (scheme === undefined) return REFUSALS.targetForm;
  let at = targetStart + scheme.length;
  head.hostStart = at;
  while (at < targetEnd && buffer[at] !== SLASH && buffer[at] !== 0x3f && buffer[at] !== 0x23) at += 1;
  head.hostEnd = at;
  head.pathStart = at;
  head.form = 'absolute';
  return authorityProblem(head);
}

function framingProblem(head: RequestHead | ResponseHead, otherwise: BodyKind): Refusal | null {
  const { fields } = head;
  const { seen } = fields;
  head.length = 0;
  head.body = otherwise;
  if ((seen & (FIELD.CONTENT_LENGTH | FIELD.TRANSFER_ENCODING)) === 0) return null;
  // RFC 9112 §6.3: "If a message is received with both a Transfer-Encoding and a Content-Length header field … Such a message might indicate an attempt to perform request smuggling …and ought to be handled as an error."
  if ((seen & FIELD.CONTENT_LENGTH) !== 0 && (seen & FIELD.TRANSFER_ENCODING) !== 0) return REFUSALS.bothLengths;
  return (seen & FIELD.CONTENT_LENGTH) !== 0 ? lengthProblem(head) : codingProblem(head);
}

function lengthProblem(head: RequestHead | ResponseHead): Refusal | null {
  const { fields } = head;
  // RFC 9112 §6.3 lets a recipient mend repeated equal values; refusing them too leaves nothing to disagree about.
  if ((fields.repeated & FIELD.CONTENT_LENGTH) !== 0) return REFUSALS.twoContentLengths;
  const index = fields.known(FIELD.CONTENT_LENGTH);
  const length = decimal(fields.buffer, fields.valueStart(index), fields.valueEnd(index));
  if (length < 0) return REFUSALS.contentLength;
  head.length = length;
  head.body = length === 0 ? BODY.NONE : BODY.LENGTH;
  return null;
}

function codingProblem(head: RequestHead | ResponseHead): Refusal | null {
  const { fields } = head;
  // RFC 9112 §6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the message as if the framing is faulty".
  if (head.minor === 0) return REFUSALS.transferEncodingOnHttp10;
  if ((fields.repeated & FIELD.TRANSFER_ENCODING) !== 0) return REFUSALS.twoTransferEncodings;
  const index = fields.known(FIELD.TRANSFER_ENCODING);
  // RFC 9112 §6.1: "A server that receives a request message with a transfer coding it does not understand SHOULD respond with 501 (Not Implemented)."
  if (!equalsIgnoreCase(fields.buffer, fields.valueStart(index), fields.valueEnd(index), 'chunked')) return REFUSALS.transferCoding;
  head.body = BODY.CHUNKED;
  return null;
}

/** RFC 9110 §10.1.1: "A server that receives an Expect field value containing a member other than 100-continue MAY respond with a 417 (Expectation Failed)"; "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation." */
function expectationProblem(head: RequestHead): Refusal | null {
  const { fields } = head;
  if ((fields.seen & FIELD.EXPECT) === 0 || head.minor === 0) return null;
  const index = fields.known(FIELD.EXPECT);
  const known = equalsIgnoreCase(fields.buffer, fields.valueStart(index), fields.valueEnd(index), '100-continue');
  if (!known || (fields.repeated & FIELD.EXPECT) !== 0) return REFUSALS.expectation;
  head.expectsContinue = head.body !== BODY.NONE;
  return null;
}

/** RFC 9112 §9.3: persistence by version, `close` and `keep-alive`. */
function readConnection(head: RequestHead | ResponseHead): void {
  const { fields } = head;
  head.persistent = head.minor === 1;
  head.nominates = false;
  head.upgrade = false;
  if ((fields.seen & FIELD.CONNECTION) === 0 || isKeepAlive(head)) return;
  const options = connectionOptions(head);
  if (options.keepAlive) head.persistent = true;
  if (options.close) head.persistent = false;
  // RFC 9110 §7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
  head.upgrade = options.upgrade && (fields.seen & FIELD.UPGRADE) !== 0 && head.minor === 1;
}

/** The most common value, which says nothing new. */
function isKeepAlive({ fields, minor }: RequestHead | ResponseHead): boolean {
  if (minor === 0 || (fields.repeated & FIELD.CONNECTION) !== 0) return false;
  const index = fields.known(FIELD.CONNECTION);
  return equalsIgnoreCase(fields.buffer, fields.valueStart(index), fields.valueEnd(index), 'keep-alive');
}

interface Options {
  close: boolean;
  keepAlive: boolean;
  upgrade: boolean;
}

function connectionOptions(head: RequestHead | ResponseHead): Options {
  const options: Options = { close: false, keepAlive: false, upgrade: false };
  eachConnectionOption(head, (buffer, start, end) => {
    if (equalsIgnoreCase(buffer, start, end, 'close')) options.close = true;
    else if (equalsIgnoreCase(buffer, start, end, 'keep-alive')) options.keepAlive = true;
    else if (equalsIgnoreCase(buffer, start, end, 'upgrade')) options.upgrade = true;
    else head.nominates = true;
  });
  return options;
}

/** Calls back with the bounds of each member of the Connection fields. */
export function eachConnectionOption(head: RequestHead | ResponseHead, visit: (buffer: Buffer, start: number, end: number) => void): void {
  const { fields, buffer } = head;
  for (let i = 0; i < fields.count; i += 1) {
    if (fields.bit(i) !== FIELD.CONNECTION) continue;
    const stop = fields.valueEnd(i);
    for (let at = fields.valueStart(i); at < stop; at += 1) {
      const start = at;
      while (at < stop && buffer[at] !== COMMA) at += 1;
      const [from, to] = trimmed(buffer, start, at);
      if (from < to) visit(buffer, from, to);
    }
  }
}

function trimmed(buffer: Buffer, start: number, end: number): readonly [number, number] {
  let from = start;
  let to = end;
  while (from < to && (buffer[from] === SP || buffer[from] === HTAB)) from += 1;
  while (to > from && (buffer[to - 1] === SP || buffer[to - 1] === HTAB)) to -= 1;
  return [from, to];
}
