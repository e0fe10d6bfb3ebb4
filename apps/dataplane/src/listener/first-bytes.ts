import { type Hello, readClientHello } from './client-hello.ts';

/** RFC 9113 §3.4. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** RFC 9112 §3: a request line; the methods that there are, and those that somebody may have made up, are short. */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |$)/;
const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [^ \r\n]+ HTTP\/1\.[01]\r?\n/;
const MAX_LINE = 8192;
const HANDSHAKE = 22;

export type Version = 'http1' | 'http2';

/** What a connection turned out to be. */
export type Spoken = { readonly protocol: Version } | { readonly protocol: 'tcp' } | { readonly protocol: 'tls'; readonly serverName: string | null };

export const TCP: Spoken = { protocol: 'tcp' };

/** The version of HTTP that a client begins with: 2 by its preface, RFC 9113 §3.3, else 1. Null while that cannot be told. */
export function readVersion(bytes: Buffer): Version | null {
  const length = Math.min(bytes.length, PREFACE.length);
  if (bytes.compare(PREFACE, 0, length, 0, length) !== 0) return 'http1';
  return length === PREFACE.length ? 'http2' : null;
}

/** What is spoken on a port of which nobody said. Null while that cannot be told. */
export function readSpoken(bytes: Buffer): Spoken | null {
  if (bytes.length === 0) return null;
  if (bytes[0] === HANDSHAKE) return spokenTls(readClientHello(bytes));
  const version = readVersion(bytes);
  if (version !== 'http1') return version === null ? null : { protocol: version };
  const text = bytes.toString('latin1', 0, MAX_LINE);
  if (REQUEST_LINE.test(text)) return { protocol: 'http1' };
  return METHOD.test(text) && !text.includes('\n') && bytes.length < MAX_LINE ? null : TCP;
}

function spokenTls(hello: Hello): Spoken | null {
  if (hello === 'more') return null;
  return hello === 'none' ? TCP : { protocol: 'tls', serverName: hello.serverName };
}
