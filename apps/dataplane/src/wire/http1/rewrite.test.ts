import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestHead, ResponseHead } from './head.ts';
import { readRequests } from './http1.fixture.ts';
import { RequestReader, ResponseReader } from './readers.ts';
import { compileRemoval, fieldLine, keptFields, rewriteRequest, rewriteResponse, trailerLines } from './rewrite.ts';
import { chunkStart, lastChunk } from './write.ts';

const removal = compileRemoval(['x-forwarded-client-cert', 'traceparent'], ['x-sallyport-']);
const bytes = (text: string) => Buffer.from(text, 'latin1');

function request<T>(input: string, use: (head: RequestHead) => T): T {
  const results: T[] = [];
  new RequestReader({
    onHead: (head) => results.push(use(head)),
    onBody: () => undefined,
    onEnd: () => undefined,
    onRefused: ({ reason }) => {
      throw new Error(reason);
    },
  }).receive(bytes(input));
  return results[0] as T;
}

function response(input: string, use: (head: ResponseHead) => Buffer): string {
  let result = '';
  const reader = new ResponseReader({
    onHead: (head) => {
      result = use(head).toString('latin1');
    },
    onBody: () => undefined,
    onEnd: () => undefined,
    onRefused: ({ reason }) => {
      throw new Error(reason);
    },
  });
  reader.expect('GET');
  reader.receive(bytes(input));
  return result;
}

const rewritten = (input: string, target: string, append = '') => request(input, (head) => rewriteRequest(head, target, { removal, append }).toString('latin1'));

describe('request heads', () => {
  const table: [what: string, input: string, target: string, append: string, output: string][] = [
    ['nothing to do', 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n', '/a', '', 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a normal form and lines of ours', 'GET /b/../a HTTP/1.1\r\nHost: h\r\nAccept:  */* \r\n\r\n', '/a', fieldLine('traceparent', '00'), 'GET /a HTTP/1.1\r\nHost: h\r\nAccept:  */* \r\ntraceparent: 00\r\n\r\n'],
    ['names that are removed, in any case', 'GET / HTTP/1.1\r\nX-Forwarded-Client-Cert: me\r\nHost: h\r\nx-SALLYPORT-identity: root\r\nTraceParent: 1\r\n\r\n', '/', '', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['all but the first removed', 'GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nKeep-Alive: 1\r\n\r\n', '/', '', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['hop-by-hop fields and those that Connection names', 'GET / HTTP/1.1\r\nConnection: keep-alive, X-Hop\r\nx-hop: 1\r\nHost: h\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n', '/', '', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['fields that Connection may not name', 'POST / HTTP/1.1\r\nConnection: host, content-length, authorization\r\nHost: h\r\nContent-Length: 0\r\nAuthorization: a\r\n\r\n', '/', '', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nAuthorization: a\r\n\r\n'],
    ['an absolute target', 'GET http://real/a HTTP/1.1\r\nA: b\r\nHost: other\r\nC: d\r\n\r\n', '/a', '', 'GET /a HTTP/1.1\r\nhost: real\r\nA: b\r\nC: d\r\n\r\n'],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: h\r\n\r\n', '/', '', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
  ];
  it.each(table)('%s', (_, input, target, append, output) => {
    expect(rewritten(input, target, append)).toBe(output);
  });

  it('tells policies what passes on', () => {
    const kept = request('GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Client-Cert: me\r\nConnection: X-Hop\r\nX-Hop: 1\r\nCookie: a\r\n\r\n', (head) => keptFields(head, removal));
    expect(kept).toEqual([['host', 'h'], ['cookie', 'a']]);
  });

  it('finds a header without a list', () => {
    expect(request('GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n\r\n', (head) => [head.header('x-a'), head.header('x-b')])).toEqual(['1', null]);
  });

  it('reads back what it wrote', () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/).map((text) => `q${text}`);
    const value = fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }), (fields, dropped) => {
        const marked = fields.map(([name, value], i) => (dropped[i] ? ([`x-sallyport-${name}`, value] as const) : ([name, value] as const)));
        const input = `GET / HTTP/1.1\r\nHost: h\r\n${marked.map(([n, v]) => fieldLine(n, v)).join('')}\r\n`;
        const [head] = readRequests([bytes(rewritten(input, '/x', fieldLine('added', 'yes')))]).told;
        const kept = marked.filter((_, i) => !dropped[i]).map(([n, v]) => [n.toLowerCase(), v]);
        expect(head).toEqual({ head: 'GET /x h 1', headers: [['host', 'h'], ...kept, ['added', 'yes']] });
      }),
    );
  });

  it.each([['a b', 'c'], ['', 'c'], ['a:', 'c'], ['a', 'b\r\nc: d'], ['a', 'b\0'], ['a', '\u010a']])('does not make a line of %j and %j', (name, value) => {
    expect(() => fieldLine(name, value)).toThrow(TypeError);
  });
});

describe('response heads', () => {
  const table: [what: string, input: string, output: string][] = [
    ['a reason', 'HTTP/1.1 404 Not Found\r\nA: b\r\nConnection: close\r\n\r\n', 'HTTP/1.1 404 Not Found\r\nA: b\r\nx: y\r\n\r\n'],
    ['no reason', 'HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.1 200 \r\nContent-Length: 0\r\nx: y\r\n\r\n'],
    ['204 with a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nA: b\r\n\r\n', 'HTTP/1.1 204 No Content\r\nA: b\r\nx: y\r\n\r\n'],
  ];
  it.each(table)('%s', (_, input, output) => {
    expect(response(input, (head) => rewriteResponse(head, { removal, append: fieldLine('x', 'y') }))).toBe(output);
  });
});

it('passes only trailers that are allowed to be any', () => {
  let lines = '';
  const reader = new RequestReader({
    onHead: () => undefined,
    onBody: () => undefined,
    onEnd: (trailers) => {
      lines = trailers ? trailerLines(trailers, removal) : '';
    },
    onRefused: () => undefined,
  });
  const trailers = 'Grpc-Status: 0\r\nHost: evil\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nAuthorization: a\r\nX-Sallyport-Identity: root\r\nIf-Match: a\r\nX-Sum: 1\r\n';
  reader.receive(bytes(`POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${trailers}\r\n`));
  expect(lines).toBe('grpc-status: 0\r\nx-sum: 1\r\n\r\n');
  expect([chunkStart(1024).toString(), lastChunk(lines).toString()]).toEqual(['400\r\n', `0\r\n${lines}`]);
});
