import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, readRequests, single } from './http1.fixture.ts';
import { RequestReader } from './readers.ts';
import { type Refusal, REFUSALS } from './refusals.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const HOST = 'Host: shop\r\n';
const get = (fields: string, start = 'GET / HTTP/1.1') => `${start}\r\n${fields}\r\n`;
const post = (fields: string, body: string) => `POST / HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);

const refused: [what: string, input: string, refusal: Refusal][] = [
  ['both lengths', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), REFUSALS.bothLengths],
  ['both lengths, the other order', post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n'), REFUSALS.bothLengths],
  ['two lengths that differ', post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abcd'), REFUSALS.twoContentLengths],
  ['two equal lengths', post('Content-Length: 3\r\ncontent-length: 3\r\n', 'abc'), REFUSALS.twoContentLengths],
  ['a list of lengths', post('Content-Length: 3, 4\r\n', 'abcd'), REFUSALS.contentLength],
  ['a list of equal lengths', post('Content-Length: 3, 3\r\n', 'abc'), REFUSALS.contentLength],
  ['a signed length', post('Content-Length: +3\r\n', 'abc'), REFUSALS.contentLength],
  ['a negative length', post('Content-Length: -1\r\n', ''), REFUSALS.contentLength],
  ['a hexadecimal length', post('Content-Length: 0x3\r\n', 'abc'), REFUSALS.contentLength],
  ['an empty length', post('Content-Length:\r\n', ''), REFUSALS.contentLength],
  ['a length beyond 2^53', post('Content-Length: 18446744073709551617\r\n', 'a'), REFUSALS.contentLength],
  ['obs-fold', get(`${HOST}X: a\r\n b\r\n`), REFUSALS.folded],
  ['obs-fold with a tab', get(`${HOST}X: a\r\n\tb\r\n`), REFUSALS.folded],
  ['white space before the first header', get(` ${HOST}`), REFUSALS.folded],
  ['a bare CR in a value', get(`${HOST}X: a\rb\r\n`), REFUSALS.bareCr],
  ['a bare CR in a name', get(`${HOST}X\r: a\r\n`), REFUSALS.bareCr],
  ['a bare LF as line end', `GET / HTTP/1.1\r\n${HOST}X: a\nY: b\r\n\r\n`, REFUSALS.bareLf],
  ['a bare LF as the empty line', `GET / HTTP/1.1\r\n${HOST}\n`, REFUSALS.bareLf],
  ['a bare LF after the start line', `GET / HTTP/1.1\n${HOST}\r\n`, REFUSALS.startLine],
  ['a CR alone as the empty line', `GET / HTTP/1.1\r\n${HOST}\rX: a\r\n\r\n`, REFUSALS.bareCr],
  ['NUL in a value', get(`${HOST}X: a\0b\r\n`), REFUSALS.nul],
  ['NUL in a name', get(`${HOST}X\0: a\r\n`), REFUSALS.nul],
  ['a control character in a value', get(`${HOST}X: a\x01b\r\n`), REFUSALS.fieldValue],
  ['DEL in a value', get(`${HOST}X: a\x7f\r\n`), REFUSALS.fieldValue],
  ['space before the colon', get(`${HOST}Content-Length : 3\r\n`), REFUSALS.spaceBeforeColon],
  ['a tab before the colon', get(`${HOST}X\t: 3\r\n`), REFUSALS.spaceBeforeColon],
  ['no colon', get(`${HOST}Nothing\r\n`), REFUSALS.bareCr],
  ['an empty name', get(`${HOST}: a\r\n`), REFUSALS.fieldName],
  ['a name that is no token', get(`${HOST}X(: a\r\n`), REFUSALS.fieldName],
  ['a name outside of ASCII', get(`${HOST}\xc4: a\r\n`), REFUSALS.fieldName],
  ['no Host', get('X: a\r\n'), REFUSALS.noHost],
  ['no Host on HTTP/1.0', get('', 'GET / HTTP/1.0'), REFUSALS.noHost],
  ['two Hosts', get(`${HOST}Host: other\r\n`), REFUSALS.twoHosts],
  ['two equal Hosts', get(`${HOST}${HOST}`), REFUSALS.twoHosts],
  ['an empty Host', get('Host:\r\n'), REFUSALS.host],
  ['a Host with user information', get('Host: a@b\r\n'), REFUSALS.host],
  ['a Host with a path', get('Host: a/b\r\n'), REFUSALS.host],
  ['a Host with a space', get('Host: a b\r\n'), REFUSALS.host],
  ['a list of Hosts', get('Host: a, b\r\n'), REFUSALS.host],
  ['a Host with two ports', get('Host: a:1:2\r\n'), REFUSALS.host],
  ['a Host whose port is no number', get('Host: a:b\r\n'), REFUSALS.host],
  ['a Host of an open bracket', get('Host: [::1\r\n'), REFUSALS.host],
  ['an unknown transfer coding', post('Transfer-Encoding: gzip\r\n', ''), REFUSALS.transferCoding],
  ['a coding before chunked', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), REFUSALS.transferCoding],
  ['chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'), REFUSALS.transferCoding],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;x=1\r\n', '0\r\n\r\n'), REFUSALS.transferCoding],
  ['chunked with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'), REFUSALS.fieldValue],
  ['identity', post('Transfer-Encoding: identity\r\n', ''), REFUSALS.transferCoding],
  ['an empty transfer coding', post('Transfer-Encoding:\r\n', ''), REFUSALS.transferCoding],
  ['two transfer codings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', ''), REFUSALS.twoTransferEncodings],
  ['Transfer-Encoding on HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, REFUSALS.transferEncodingOnHttp10],
  ['CONNECT', get(HOST, 'CONNECT shop:443 HTTP/1.1'), REFUSALS.connect],
  ['a method that is no token', get(HOST, 'G(T / HTTP/1.1'), REFUSALS.method],
  ['no method', get(HOST, ' / HTTP/1.1'), REFUSALS.method],
  ['a method of 65 letters', get(HOST, `${'M'.repeat(65)} / HTTP/1.1`), REFUSALS.methodTooLong],
  ['a control character in the target', get(HOST, 'GET /a\x01 HTTP/1.1'), REFUSALS.target],
  ['a NUL in the target', get(HOST, 'GET /a\0 HTTP/1.1'), REFUSALS.target],
  ['a DEL in the target', get(HOST, 'GET /a\x7f HTTP/1.1'), REFUSALS.target],
  ['a tab in the target', get(HOST, 'GET /a\tb HTTP/1.1'), REFUSALS.target],
  ['a bare CR in the target', get(HOST, 'GET /a\rb HTTP/1.1'), REFUSALS.target],
  ['an empty target', get(HOST, 'GET  HTTP/1.1'), REFUSALS.target],
  ['a space in the target', get(HOST, 'GET /a b HTTP/1.1'), REFUSALS.startLine],
  ['two spaces after the method', get(HOST, 'GET  / HTTP/1.1'), REFUSALS.target],
  ['a space after the version', get(HOST, 'GET / HTTP/1.1 '), REFUSALS.startLine],
  ['a relative target', get(HOST, 'GET a HTTP/1.1'), REFUSALS.targetForm],
  ['a star with GET', get(HOST, 'GET * HTTP/1.1'), REFUSALS.targetForm],
  ['a scheme that is not HTTP', get(HOST, 'GET ftp://a/ HTTP/1.1'), REFUSALS.targetForm],
  ['an absolute target without host', get(HOST, 'GET http:///a HTTP/1.1'), REFUSALS.host],
  ['an absolute target with user information', get(HOST, 'GET http://u@a/ HTTP/1.1'), REFUSALS.host],
  ['HTTP/0.9', 'GET /\r\n\r\n', REFUSALS.target],
  ['HTTP/1.2', get(HOST, 'GET / HTTP/1.2'), REFUSALS.version],
  ['HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', REFUSALS.version],
  ['a version in lower case', get(HOST, 'GET / http/1.1'), REFUSALS.startLine],
  ['another protocol', get(HOST, 'GET / ICAP/1.1'), REFUSALS.startLine],
  ['three empty lines first', `\r\n\r\n\r\n${get(HOST)}`, REFUSALS.emptyLines],
  ['a bare LF first', `\n${get(HOST)}`, REFUSALS.method],
  ['a TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n', REFUSALS.method],
  ['101 headers', get(`${HOST}${'x: y\r\n'.repeat(100)}`), REFUSALS.tooManyFields],
  ['a head of more than 64 KiB', get(`${HOST}X: ${'a'.repeat(65_536)}\r\n`), REFUSALS.headTooLarge],
  ['a start line of more than 64 KiB', get(HOST, `GET /${'a'.repeat(65_536)} HTTP/1.1`), REFUSALS.lineTooLong],
  ['an unknown expectation', post('Expect: tea\r\nContent-Length: 1\r\n', 'a'), REFUSALS.expectation],
  ['a chunk size that is no number', chunked('x\r\n'), REFUSALS.chunkSize],
  ['an empty chunk size', chunked('\r\n'), REFUSALS.chunkSize],
  ['a signed chunk size', chunked('+1\r\na\r\n0\r\n\r\n'), REFUSALS.chunkSize],
  ['a chunk size with 0x', chunked('0x1\r\na\r\n0\r\n\r\n'), REFUSALS.chunkSize],
  ['a chunk size that wraps at 64 bits', chunked('10000000000000001\r\na\r\n0\r\n\r\n'), REFUSALS.chunkSize],
  ['a chunk size before a bare LF', chunked('1\na\r\n0\r\n\r\n'), REFUSALS.chunkSize],
  ['a chunk size with a space after it', chunked('1 \r\na\r\n0\r\n\r\n'), REFUSALS.chunkSize],
  ['a bare CR after a chunk size', chunked('1\ra\r\n0\r\n\r\n'), REFUSALS.chunkSize],
  ['a long chunk extension', chunked(`1;${'x'.repeat(257)}\r\na\r\n0\r\n\r\n`), REFUSALS.chunkExtension],
  ['many chunk extensions', chunked(`${`1;${'x'.repeat(200)}\r\na\r\n`.repeat(21)}0\r\n\r\n`), REFUSALS.chunkExtension],
  ['a bare LF in a chunk extension', chunked('1;a\nb\r\na\r\n0\r\n\r\n'), REFUSALS.chunkExtension],
  ['a chunk longer than its size', chunked('1\r\nab\r\n0\r\n\r\n'), REFUSALS.chunkEnd],
  ['a chunk that ends with a bare LF', chunked('1\r\na\n0\r\n\r\n'), REFUSALS.chunkEnd],
  ['a folded trailer', chunked('0\r\nX: a\r\n b\r\n\r\n'), REFUSALS.folded],
  ['a bare LF in trailers', chunked('0\r\nX: a\n\r\n'), REFUSALS.bareLf],
  ['trailers of more than 8 KiB', chunked(`0\r\nX: ${'a'.repeat(8192)}\r\n\r\n`), REFUSALS.trailersTooLarge],
  ['an end inside of a head', `GET / HTTP/1.1\r\n${HOST}`, REFUSALS.cutOff],
  ['an end inside of a body', post('Content-Length: 5\r\n', 'abc'), REFUSALS.cutOff],
  ['an end inside of a chunk', chunked('5\r\nab'), REFUSALS.cutOff],
  ['an end before the trailers', chunked('0\r\n'), REFUSALS.cutOff],
];

describe('requests that are refused', () => {
  it.each(refused)('%s', (_, input, refusal) => {
    expect(readRequests([bytes(input)]).refusal).toEqual(refusal);
    expect(readRequests(single(input)).refusal).toEqual(refusal);
  });

  it.each(refused.filter(([, , refusal]) => refusal !== REFUSALS.cutOff))('%s: and nothing after it is read as a request', (_, input) => {
    const { told } = readRequests([bytes(`${input}${get(HOST, 'GET /smuggled HTTP/1.1')}`)]);
    expect(told.filter((each) => 'head' in each && each.head.includes('smuggled'))).toEqual([]);
  });

  it('holds what it refuses a status for', () => {
    const statuses = new Set(refused.map(([, , { status }]) => status));
    expect(statuses).toEqual(new Set([400, 414, 417, 431, 501, 505]));
  });
});

const accepted: [what: string, input: string, told: unknown[]][] = [
  ['no body', get(HOST), [{ head: 'GET / shop 1', headers: [['host', 'shop']] }, { trailers: [] }]],
  ['two empty lines first', `\r\n\r\n${get(HOST)}`, [expect.objectContaining({ head: 'GET / shop 1' }), { trailers: [] }]],
  ['white space around values', get(`host: \t shop \t\r\nX:\r\nY: a b\r\n`), [expect.objectContaining({ headers: [['host', 'shop'], ['x', ''], ['y', 'a b']] }), { trailers: [] }]],
  ['bytes outside of ASCII in values', get(`${HOST}X: \xe4\r\n`), [expect.objectContaining({ headers: [['host', 'shop'], ['x', '\xe4']] }), { trailers: [] }]],
  ['a body by length', post('Content-Length: 3\r\n', 'abc'), [expect.anything(), { body: 'abc' }, { trailers: [] }]],
  ['a body of length zero', post('Content-Length: 0\r\n', ''), [expect.anything(), { trailers: [] }]],
  ['chunks with extensions and trailers', chunked('3;a=b\r\nabc\r\n00002 ; x\r\nde\r\n0\r\nX: y\r\n\r\n').replace('2 ;', '2;'), [expect.anything(), { body: 'abcde' }, { trailers: [['x', 'y']] }]],
  ['chunked in capitals', post('transfer-encoding: CHUNKED\r\n', '1\r\na\r\n0\r\n\r\n'), [expect.anything(), { body: 'a' }, { trailers: [] }]],
  ['an absolute target', get(HOST, 'GET HTTP://other:80/a?b HTTP/1.1'), [expect.objectContaining({ head: 'GET /a?b other:80 1' }), { trailers: [] }]],
  ['an absolute target without path', get(HOST, 'GET http://other HTTP/1.1'), [expect.objectContaining({ head: 'GET / other 1' }), { trailers: [] }]],
  ['an absolute target with a query only', get(HOST, 'GET http://other?q HTTP/1.1'), [expect.objectContaining({ head: 'GET /?q other 1' }), { trailers: [] }]],
  ['an absolute target of OPTIONS', get(HOST, 'OPTIONS http://other HTTP/1.1'), [expect.objectContaining({ head: 'OPTIONS * other 1' }), { trailers: [] }]],
  ['OPTIONS *', get(HOST, 'OPTIONS * HTTP/1.1'), [expect.objectContaining({ head: 'OPTIONS * shop 1' }), { trailers: [] }]],
  ['an IPv6 Host', get('Host: [::1]:8080\r\n'), [expect.objectContaining({ head: 'GET / [::1]:8080 1' }), { trailers: [] }]],
  ['HTTP/1.0', get(HOST, 'GET / HTTP/1.0'), [expect.objectContaining({ head: 'GET / shop 0' }), { trailers: [] }]],
  ['a method that few know', get(HOST, 'PROPFIND / HTTP/1.1'), [expect.objectContaining({ head: 'PROPFIND / shop 1' }), { trailers: [] }]],
  ['100 headers', get(`${HOST}${'x: y\r\n'.repeat(99)}`), [expect.anything(), { trailers: [] }]],
  ['pipelined requests', post('Content-Length: 1\r\n', 'a') + chunked('1\r\nb\r\n0\r\n\r\n') + get(HOST), [expect.anything(), { body: 'a' }, { trailers: [] }, expect.anything(), { body: 'b' }, { trailers: [] }, expect.anything(), { trailers: [] }]],
];

describe('requests that are read', () => {
  it.each(accepted)('%s', (_, input, told) => {
    expect(readRequests([bytes(input)]).told).toEqual(told);
    expect(readRequests(single(input)).told).toEqual(told);
  });

  it('takes a head of exactly 64 KiB', () => {
    const rest = get(`${HOST}X: \r\n`).length;
    expect(readRequests([bytes(get(`${HOST}X: ${'a'.repeat(65_536 - rest)}\r\n`))]).refusal).toBeNull();
    expect(readRequests([bytes(get(`${HOST}X: ${'a'.repeat(65_537 - rest)}\r\n`))]).refusal).toBe(REFUSALS.headTooLarge);
  });

  it('does not look at a long line again for each piece of it', () => {
    // Quadratic work here would be two thousand million steps.
    const reader = readRequests([bytes('GET /'), ...Array.from({ length: 65_000 }, () => bytes('a'))], false);
    expect(reader.told).toEqual([]);
  });
});

describe('connection rules', () => {
  const facts: [fields: string, start: string, expected: Record<string, unknown>][] = [
    ['', 'GET / HTTP/1.1', { persistent: true, upgrade: false }],
    ['Connection: close\r\n', 'GET / HTTP/1.1', { persistent: false }],
    ['Connection: Keep-Alive, CLOSE\r\n', 'GET / HTTP/1.1', { persistent: false }],
    ['', 'GET / HTTP/1.0', { persistent: false }],
    ['Connection: keep-alive\r\n', 'GET / HTTP/1.0', { persistent: true }],
    ['Connection: Upgrade\r\nUpgrade: websocket\r\n', 'GET / HTTP/1.1', { upgrade: true, nominates: false }],
    ['Upgrade: websocket\r\n', 'GET / HTTP/1.1', { upgrade: false }],
    ['Connection: Upgrade\r\nUpgrade: websocket\r\n', 'GET / HTTP/1.0', { upgrade: false }],
    ['Connection: x-secret ,\t, close\r\n', 'GET / HTTP/1.1', { nominates: true, persistent: false }],
    ['Expect: 100-Continue\r\nContent-Length: 1\r\n', 'GET / HTTP/1.1', { expectsContinue: true }],
    ['Expect: 100-continue\r\n', 'GET / HTTP/1.1', { expectsContinue: false }],
    ['Expect: 100-continue\r\nContent-Length: 1\r\n', 'GET / HTTP/1.0', { expectsContinue: false }],
  ];
  it.each(facts)('%j on %s', (fields, start, wanted) => {
    let seen: unknown = null;
    const reader = new RequestReader({
      onHead: ({ persistent, upgrade, nominates, expectsContinue }) => {
        seen = { persistent, upgrade, nominates, expectsContinue };
      },
      onBody: () => undefined,
      onEnd: () => undefined,
      onRefused: (refusal) => {
        seen = refusal;
      },
    });
    reader.receive(bytes(get(`${HOST}${fields}`, start)));
    expect(seen).toMatchObject(wanted);
  });
});

it('keeps nothing after a refusal', () => {
  const reader = new RequestReader({ onHead: () => undefined, onBody: () => undefined, onEnd: () => undefined, onRefused: () => undefined });
  for (let i = 0; i < 3; i += 1) reader.receive(bytes('no request\r\n\r\n'));
  expect([reader.full, reader.takeRest().length]).toEqual([false, 0]);
});

describe('a paused reader', () => {
  it('keeps what comes, and what follows a message, until it is asked for', () => {
    const told: string[] = [];
    const reader = new RequestReader({
      onHead: (head) => {
        told.push(head.target);
        reader.pause();
      },
      onBody: (data) => told.push(data.toString()),
      onEnd: () => told.push('end'),
      onRefused: ({ reason }) => told.push(reason),
    });
    reader.receive(bytes(post('Content-Length: 4\r\n', 'ab')));
    expect([told, reader.full]).toEqual([['/'], true]);
    reader.receive(bytes(`cd${get(HOST, 'GET /second HTTP/1.1')}`));
    reader.resume();
    expect([told, reader.full]).toEqual([['/', 'abcd', 'end'], true]);
    reader.next();
    expect([told.slice(3), reader.full]).toEqual([['/second', 'end'], false]);
  });

  it('gives up the bytes after an upgrade', () => {
    let rest = '';
    const reader = new RequestReader({
      onHead: () => undefined,
      onBody: () => undefined,
      onEnd: () => {
        rest = reader.takeRest().toString();
      },
      onRefused: () => undefined,
    });
    reader.receive(bytes(`${get(HOST)}frames`));
    expect(rest).toBe('frames');
  });
});

describe('fuzz', () => {
  const corpus = [...refused.map(([, input]) => input), ...accepted.map(([, input]) => input)].filter((input) => input.length < 4096);
  const input = fc.oneof(
    fc.constantFrom(...corpus),
    fc.tuple(fc.constantFrom(...corpus), fc.constantFrom(...corpus)).map((pair) => pair.join('')),
    // One byte of a good message changed.
    fc.tuple(fc.constantFrom(...corpus), fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 0, max: 255 })).map(([text, place, byte]) => {
      const at = Math.floor(place * text.length);
      return `${text.slice(0, at)}${String.fromCharCode(byte)}${text.slice(at + 1)}`;
    }),
  );
  const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

  it('tells the same however the bytes are cut', () => {
    fc.assert(
      fc.property(input, places, (text, cuts) => {
        expect(readRequests(cut(bytes(text), cuts)).told).toEqual(readRequests([bytes(text)]).told);
      }),
      { numRuns: 2000 },
    );
  });

  it('never throws on random bytes and tells no more body than came', () => {
    const alphabet = fc.constantFrom(...Array.from('GET POST/ HTTP/1.1\r\n\r\nHost: a\r\nTransfer-Encoding: chunked\r\n0123456789abcdef;,\t\0\x80'));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: alphabet, maxLength: 300 }).map(bytes), fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))), places, (random, cuts) => {
        expect(readRequests(cut(random, cuts)).bodyBytes).toBeLessThanOrEqual(random.length);
      }),
      { numRuns: 2000 },
    );
  });
});
