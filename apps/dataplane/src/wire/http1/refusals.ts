/** Why a message is not taken. A request is answered with the status; a response that is refused is the upstream's fault: 502. */
export interface Refusal {
  readonly status: 400 | 414 | 417 | 431 | 501 | 505;
  readonly reason: string;
}

const bad = (reason: string): Refusal => ({ status: 400, reason });

export const REFUSALS = {
  emptyLines: bad('too many empty lines before the request'),
  method: bad('the method is not a token'),
  methodTooLong: { status: 501, reason: 'no such method' },
  connect: { status: 501, reason: 'CONNECT is not served here' },
  target: bad('the request target has a control character or is empty'),
  targetForm: bad('the request target has no valid form'),
  startLine: bad('the start line is malformed'),
  version: { status: 505, reason: 'neither HTTP/1.1 nor HTTP/1.0' },
  status: bad('the status is not a number from 100 to 599'),
  lineTooLong: { status: 414, reason: 'the start line is too long' },
  headTooLarge: { status: 431, reason: 'the head is too large' },
  tooManyFields: { status: 431, reason: 'more than 100 headers' },
  folded: bad('a header is folded, or a line starts with white space'),
  spaceBeforeColon: bad('white space before the colon of a header'),
  fieldName: bad('a header name is empty or not a token'),
  fieldValue: bad('a header value has a control character'),
  nul: bad('a NUL in the head'),
  bareCr: bad('a CR without LF in the head'),
  bareLf: bad('a LF without CR in the head'),
  noHost: bad('needs a Host header'),
  twoHosts: bad('more than one Host header'),
  host: bad('the Host header names no valid host'),
  contentLength: bad('Content-Length is not a number'),
  twoContentLengths: bad('more than one Content-Length'),
  bothLengths: bad('Content-Length beside Transfer-Encoding'),
  twoTransferEncodings: bad('more than one Transfer-Encoding'),
  transferCoding: { status: 501, reason: 'unknown transfer coding' },
  transferEncodingOnHttp10: bad('Transfer-Encoding needs HTTP/1.1'),
  expectation: { status: 417, reason: 'unknown expectation' },
  chunkSize: bad('a chunk size is malformed or too large'),
  chunkExtension: bad('a chunk extension is malformed or too long'),
  chunkEnd: bad('a chunk does not end where its size says'),
  trailersTooLarge: { status: 431, reason: 'the trailers are too large' },
  interim: bad('too many interim responses'),
  cutOff: bad('the connection ended inside of a message'),
} as const satisfies Record<string, Refusal>;
