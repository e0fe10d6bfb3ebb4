import { HTAB, LOWER_TOKEN, SP, textOf, VALUE } from '../bytes.ts';

/** How a field may be kept in compression tables. NEVER is RFC 7541 §7.1.3: for secrets, also on later hops. */
export const INDEXING = { ALLOWED: 0, NEVER: 1 } as const;
export type Indexing = (typeof INDEXING)[keyof typeof INDEXING];

/** What the rules of HTTP/2 look at. Each is a bit, so that sets of them are numbers. */
export const KIND = {
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 4,
  PATH: 8,
  PROTOCOL: 16,
  STATUS: 32,
  OTHER_PSEUDO: 64,
  /** RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." */
  CONNECTION: 128,
  TE: 256,
  CONTENT_LENGTH: 512,
  HOST: 1024,
  EXPECT: 2048,
  /** A name or value that no field may have. */
  INVALID: 4096,
  /** RFC 9110 §11.7: fields between a client and the proxy next to it. */
  PROXY: 8192,
  TRAILER: 16_384,
  COOKIE: 32_768,
} as const;

const KINDS = new Map<string, number>([
  [':method', KIND.METHOD],
  [':scheme', KIND.SCHEME],
  [':authority', KIND.AUTHORITY],
  [':path', KIND.PATH],
  [':protocol', KIND.PROTOCOL],
  [':status', KIND.STATUS],
  ['connection', KIND.CONNECTION],
  ['keep-alive', KIND.CONNECTION],
  ['proxy-connection', KIND.CONNECTION],
  ['transfer-encoding', KIND.CONNECTION],
  ['upgrade', KIND.CONNECTION],
  ['http2-settings', KIND.CONNECTION],
  ['te', KIND.TE],
  ['content-length', KIND.CONTENT_LENGTH],
  ['host', KIND.HOST],
  ['expect', KIND.EXPECT],
  ['proxy-authenticate', KIND.PROXY],
  ['proxy-authorization', KIND.PROXY],
  ['trailer', KIND.TRAILER],
  ['cookie', KIND.COOKIE],
]);

/** RFC 7541 §7.1.3: short secrets can be guessed from the size of what is sent. */
const SECRETS = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);

/** One header or pseudo-header. Tables share these objects, so a repeated header costs no text and no check. */
export class Field {
  readonly name: string;
  readonly value: string;
  readonly indexing: Indexing;
  readonly kind: number;
  /** RFC 7541 §4.1: "the sum of its name's length in octets, its value's length in octets, and 32". */
  readonly size: number;

  constructor(name: string, value: string, indexing: Indexing) {
    this.name = name;
    this.value = value;
    this.indexing = indexing;
    this.kind = kindOf(name) | (isValidValue(value) ? 0 : KIND.INVALID);
    this.size = name.length + value.length + 32;
  }
}

/** A field to be sent; the name in lower case. @throws TypeError for a name or value that no field may have */
export function field(name: string, value: string): Field {
  const made = new Field(name, value, SECRETS.has(name) ? INDEXING.NEVER : INDEXING.ALLOWED);
  if ((made.kind & KIND.INVALID) !== 0) throw new TypeError(`no valid field: ${JSON.stringify(name)}`);
  return made;
}

function kindOf(name: string): number {
  const known = KINDS.get(name);
  if (known !== undefined) return known;
  if (name.startsWith(':')) return KIND.OTHER_PSEUDO;
  return name.length > 0 && textOf(name, LOWER_TOKEN) ? 0 : KIND.INVALID;
}

/** RFC 9113 §8.2.1: no NUL, CR or LF; "MUST NOT start or end with an ASCII whitespace character". */
function isValidValue(value: string): boolean {
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1)) && textOf(value, VALUE);
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB;
}
