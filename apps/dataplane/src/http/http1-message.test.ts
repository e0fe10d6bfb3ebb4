import { describe, expect, it } from 'vitest';
import { compileRemoval, type RequestHead, RequestReader, type ResponseHead, ResponseReader } from '../wire/index.ts';
import type { Edits, Trailers } from './exchange.ts';
import { Http1Request, Http1Response, Http1Trailers } from './http1-message.ts';
import { OwnField } from './own-field.ts';

const EDITS: Edits = { removal: compileRemoval(['x-forwarded-client-cert'], ['x-sallyport-']), added: [new OwnField('x-own', 'yes')] };
const NONE: Edits = { removal: compileRemoval([], []), added: [] };
const ignored = { onBody: () => undefined, onEnd: () => undefined, onRefused: () => undefined };

function request(lines: string): Http1Request {
  let head: RequestHead | undefined;
  new RequestReader({ ...ignored, onHead: (told) => (head = told) }).receive(Buffer.from(`${lines.replaceAll('\n', '\r\n')}\r\n\r\n`, 'latin1'));
  return new Http1Request(head!);
}

function response(lines: string, method = 'GET'): Http1Response {
  let head: ResponseHead | undefined;
  const reader = new ResponseReader({ ...ignored, onHead: (told) => (head = told) });
  reader.expect(method);
  reader.receive(Buffer.from(`${lines.replaceAll('\n', '\r\n')}\r\n\r\n`, 'latin1'));
  return new Http1Response(head!);
}

const told = (fields: readonly { readonly name: string; readonly value: string }[]) => fields.map(({ name, value }) => `${name}=${value}`);

describe('a request by HTTP/1', () => {
  it('goes on as the bytes that it was, except for what is ours to say', () => {
    const given = request('GET /x HTTP/1.1\nHOST: A.b\nX-Sallyport-Reason: 1\nAccept: */*\nConnection: x-hop\nX-Hop: 1');
    expect(given.toHttp1('/n', EDITS).toString()).toBe('GET /n HTTP/1.1\r\nHOST: A.b\r\nAccept: */*\r\nx-own: yes\r\n\r\n');
  });

  it('goes on by HTTP/2 without hop-by-hop fields, with Host as its authority and with TE for trailers', () => {
    const given = request('POST http://b:1/x HTTP/1.1\nHost: a\nTE: gzip, Trailers\nKeep-Alive: 1\nTransfer-Encoding: chunked\nProxy-Authorization: x\nCookie: a=1\nX-Forwarded-Client-Cert: 1');
    expect(told(given.toHttp2('/n', EDITS))).toEqual([':method=POST', ':scheme=http', ':path=/n', ':authority=b:1', 'te=trailers', 'cookie=a=1', 'x-own=yes']);
    expect([given.size, given.host, given.target]).toEqual([-1, 'b:1', '/x']);
  });

  it('is an upgrade for WebSocket alone, and an extended CONNECT by HTTP/2', () => {
    const given = request('GET /ws HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Key: k\nSec-WebSocket-Version: 13');
    expect(given.webSocket).toBe(true);
    expect(given.toHttp1('/ws', NONE).toString()).toMatch(/Version: 13\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n$/);
    expect(told(given.toHttp2('/ws', NONE))).toEqual([':method=CONNECT', ':scheme=http', ':path=/ws', ':authority=a', ':protocol=websocket', 'sec-websocket-version=13']);
    expect(request('GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: h2c').webSocket).toBe(false);
    expect(request('POST / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 1').webSocket).toBe(false);
  });

  it.each([
    ['Content-Length: 5', 'content-length: 5\r\n', ''],
    ['Transfer-Encoding: chunked', '', 'transfer-encoding: chunked\r\n'],
    ['Content-Length: 5\nExpect: 100-continue', 'content-length: 5\r\nexpect: 100-continue\r\n', ''],
  ])('takes other fields in the place of its own, except those that frame and route it: %s', (framing, before, after) => {
    const given = request(`PUT / HTTP/1.1\nHost: a\n${framing}\nX-Old: 1\nTE: trailers`).withFields([['X-New', '2'], ['Host', 'evil'], ['Content-Length', '9'], ['Connection', 'x'], ['x-sallyport-x', '1']]);
    expect(given.toHttp1('/', EDITS).toString()).toBe(`PUT / HTTP/1.1\r\nhost: a\r\n${before}x-new: 2\r\n${after}x-own: yes\r\n\r\n`);
    expect(told(given.toHttp2('/', EDITS))).toContain('te=trailers');
    expect([given.header('x-old'), given.header('x-new'), given.header('host')]).toEqual([null, '2', 'a']);
    expect(() => given.withFields([['x', 'a\r\nb: c']])).toThrow(TypeError);
  });
});

describe('an answer by HTTP/1', () => {
  const how = { close: false, chunked: false, webSocket: false };

  it.each([
    ['chunks as they came', 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked', { ...how, chunked: true }, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['chunks to somebody who knows none', 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked', { ...how, close: true }, 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n'],
    ['an end by close as chunks', 'HTTP/1.0 200 OK\nServer: x', { ...how, chunked: true }, 'HTTP/1.1 200 OK\r\nServer: x\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['its length', 'HTTP/1.1 404 \nContent-Length: 3\nConnection: close', how, 'HTTP/1.1 404 \r\nContent-Length: 3\r\n\r\n'],
    ['a switch', 'HTTP/1.1 101 Switching\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: a', { ...how, webSocket: true }, 'HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n'],
  ])('goes on with %s', (_, lines, form, text) => {
    expect(response(lines).toHttp1(NONE, form).toString()).toBe(text);
  });

  it('goes on by HTTP/2 without what is only for us', () => {
    const given = response('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nX-Sallyport-Reason: x\nSet-Cookie: a=1\nSet-Cookie: b=2');
    expect(told(given.toHttp2(EDITS))).toEqual([':status=200', 'set-cookie=a=1', 'set-cookie=b=2', 'x-own=yes']);
    expect([given.size, response('HTTP/1.1 200 OK\nContent-Length: 3').size, response('HTTP/1.1 200 OK\nContent-Length: 3', 'HEAD').size]).toEqual([-1, 3, 0]);
  });
});

it('passes trailers in both versions, without what no trailer may be', () => {
  const all: string[] = [];
  const tell = (trailers: Trailers) => all.push(trailers.toHttp1(EDITS.removal), ...told(trailers.toHttp2(EDITS.removal)));
  const reader = new RequestReader({ ...ignored, onHead: () => undefined, onEnd: (fields) => void (fields && tell(new Http1Trailers(fields))) });
  reader.receive(Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGrpc-Status: 0\r\nGrpc-Message: \r\nHost: b\r\nX-Sallyport-A: 1\r\n\r\n'));
  expect(all).toEqual(['grpc-status: 0\r\ngrpc-message: \r\n\r\n', 'grpc-status=0', 'grpc-message=']);
});
