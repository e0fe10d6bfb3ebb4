import { decimalText, textOf, TARGET, TOKEN } from '../bytes.ts';
import { type Field, KIND } from '../hpack/field.ts';

/** A request's or response's head. */
export interface MessageHead {
  /** All fields in order; the regular ones start at {@link regular}. */
  readonly fields: readonly Field[];
  regular: number;
  method: string;
  scheme: string;
  /** `:authority`, or Host where that is missing. */
  authority: string;
  path: string;
  /** RFC 8441: the protocol of an extended CONNECT. */
  protocol: string;
  status: number;
  /** -1 when it is not announced. */
  contentLength: number;
  expectsContinue: boolean;
}

const MAX_FIELDS = 100;
/** Fields that a proxy writes itself. The first of each is not counted: what the last hop added must not be one too many for the next. */
const NOT_COUNTED = [':method', ':scheme', ':path', ':protocol', ':status', 'te', 'content-length', 'traceparent', 'x-forwarded-client-cert'] as const;
/** More than these are never kept. */
export const MOST_FIELDS = MAX_FIELDS + NOT_COUNTED.length;

const REQUEST = KIND.METHOD | KIND.SCHEME | KIND.AUTHORITY | KIND.PATH | KIND.PROTOCOL;
const PSEUDO = REQUEST | KIND.STATUS | KIND.OTHER_PSEUDO;
/** RFC 9113 §8.3.1: "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme", and ":path" pseudo-header fields, unless they are CONNECT requests". */
const REQUIRED = KIND.METHOD | KIND.SCHEME | KIND.PATH;

/** Reads a head and says what is wrong with it. */
export class HeadReading {
  readonly head: MessageHead;
  problem: string | null = null;
  #seen = 0;
  #host: string | null = null;

  constructor(fields: readonly Field[], allowed: number) {
    this.head = { fields, regular: fields.length, method: '', scheme: '', authority: '', path: '', protocol: '', status: 0, contentLength: -1, expectsContinue: false };
    for (let i = 0; i < fields.length; i += 1) {
      const { kind } = fields[i]!;
      const pseudo = (kind & PSEUDO) !== 0;
      if (!pseudo && this.head.regular > i) this.head.regular = i;
      if (kind !== 0 && this.problem === null) this.problem = pseudo ? this.#pseudo(fields[i]!, i, allowed) : this.#special(fields[i]!);
    }
  }

  /** RFC 9113 §8.3: pseudo-headers come first, once each, and none but the defined ones. */
  #pseudo({ kind, value }: Field, index: number, allowed: number): string | null {
    if ((kind & KIND.INVALID) !== 0) return 'a pseudo-header has an invalid value';
    if ((kind & allowed) === 0) return 'a pseudo-header that does not belong here';
    if ((kind & this.#seen) !== 0) return 'a pseudo-header comes twice';
    if (this.head.regular < index) return 'a pseudo-header after a regular header';
    this.#seen |= kind;
    const { head } = this;
    if (kind === KIND.METHOD) head.method = value;
    else if (kind === KIND.SCHEME) head.scheme = value;
    else if (kind === KIND.AUTHORITY) head.authority = value;
    else if (kind === KIND.PATH) head.path = value;
    else if (kind === KIND.PROTOCOL) head.protocol = value;
    else head.status = /^[1-5]\d\d$/.test(value) ? Number(value) : 0;
    return null;
  }

  #special({ kind, value }: Field): string | null {
    const { head } = this;
    if ((kind & KIND.INVALID) !== 0) return 'a header has an invalid name or value';
    // RFC 9113 §8.2.2: "Any message containing connection-specific header fields MUST be treated as malformed".
    if (kind === KIND.CONNECTION) return 'a connection-specific header';
    // RFC 9113 §8.2.2: TE "MAY be present in an HTTP/2 request; when it is, it MUST NOT contain any value other than "trailers"".
    if (kind === KIND.TE) return value.toLowerCase() === 'trailers' ? null : 'TE with more than trailers';
    if (kind === KIND.CONTENT_LENGTH) {
      if (head.contentLength >= 0) return 'more than one content-length';
      head.contentLength = decimalText(value);
      return head.contentLength >= 0 ? null : 'content-length is not a number';
    }
    if (kind === KIND.HOST) {
      if (this.#host !== null) return 'more than one host';
      this.#host = value;
    }
    if (kind === KIND.EXPECT) head.expectsContinue = value.toLowerCase() === '100-continue';
    return null;
  }

  request(extendedConnect: boolean): string | null {
    const { head } = this;
    if (this.problem !== null) return this.problem;
    const authority = this.#authorityProblem();
    if (authority !== null) return authority;
    if (!textOf(head.method, TOKEN) || head.method === '') return 'no valid method';
    if (head.method === 'CONNECT' && (this.#seen & KIND.PROTOCOL) === 0) return this.#connectProblem();
    if ((this.#seen & KIND.PROTOCOL) !== 0 && (!extendedConnect || head.method !== 'CONNECT')) return 'an extended CONNECT that was not announced';
    if ((this.#seen & REQUIRED) !== REQUIRED) return 'a pseudo-header is missing';
    if (head.scheme !== 'http' && head.scheme !== 'https') return 'a scheme that is not HTTP';
    // RFC 9113 §8.3.1: ":path" "MUST NOT be empty for "http" or "https" URIs"; `*` is for OPTIONS.
    const star = head.path === '*' && head.method === 'OPTIONS';
    return star || (head.path.startsWith('/') && textOf(head.path, TARGET)) ? null : 'a path that is none';
  }

  /** RFC 9113 §8.5: "The ":scheme" and ":path" pseudo-header fields MUST be omitted. The ":authority" pseudo-header field contains the host and port to connect to". */
  #connectProblem(): string | null {
    if ((this.#seen & (KIND.SCHEME | KIND.PATH)) !== 0) return 'CONNECT with a scheme or path';
    return /:\d+$/.test(this.head.authority) ? null : 'CONNECT without host and port';
  }

  /** RFC 9113 §8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an entity that differs from the entity in the ":authority" pseudo-header field." */
  #authorityProblem(): string | null {
    const { head } = this;
    const given = (this.#seen & KIND.AUTHORITY) !== 0;
    if (given && this.#host !== null && this.#host.toLowerCase() !== head.authority.toLowerCase()) return 'host and :authority differ';
    if (!given) head.authority = this.#host ?? '';
    return isAuthorityText(head.authority) ? null : 'no valid authority';
  }

  /** RFC 9113 §8.3.2: one ":status"; §8.6: "HTTP/2 removes support for the 101 (Switching Protocols) informational status code". */
  response(): string | null {
    if (this.problem !== null) return this.problem;
    const { status } = this.head;
    return status >= 100 && status !== 101 ? null : 'no valid status';
  }
}

export function readRequest(fields: readonly Field[]): HeadReading {
  return new HeadReading(fields, REQUEST);
}

export function readResponse(fields: readonly Field[]): HeadReading {
  return new HeadReading(fields, KIND.STATUS);
}

/** True when more fields came than anybody may send. `:authority` is one of them, as Host is in HTTP/1. */
export function areTooMany(fields: readonly Field[]): boolean {
  if (fields.length <= MAX_FIELDS) return false;
  const names = new Set(fields.map(({ name }) => name));
  return fields.length - NOT_COUNTED.filter((name) => names.has(name)).length > MAX_FIELDS;
}

/** RFC 9113 §8.1: "Trailers MUST NOT include pseudo-header fields". */
export function trailerProblem(fields: readonly Field[]): string | null {
  return new HeadReading(fields, 0).problem;
}

const AUTHORITY = /^(?:[A-Za-z0-9\-._~%!$&'()*+;=]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;
/** Tables of compression give the same text again and again. */
let lastGood = '';

function isAuthorityText(text: string): boolean {
  if (text === lastGood && text !== '') return true;
  if (!AUTHORITY.test(text)) return false;
  lastGood = text;
  return true;
}
