import { describe, expect, it } from 'vitest';
import { field, compileRemoval, type Field } from '../wire/index.ts';
import { readRequest, readResponse } from '../wire/h2/message.ts';
import type { Edits } from './exchange.ts';
import { H2Request, H2Response, H2Trailers } from './h2-message.ts';
import { OwnField } from './own-field.ts';

const EDITS: Edits = { removal: compileRemoval(['x-forwarded-client-cert'], ['x-sallyport-']), added: [new OwnField('x-own', 'yes')] };
const NONE: Edits = { removal: compileRemoval([], []), added: [] };
const start = (method: string) => [field(':method', method), field(':scheme', 'http'), field(':path', '/a?b'), field(':authority', 'shop.example:80')];

function request(method: string, fields: readonly Field[], ended = false): H2Request {
  return new H2Request(headOf([...start(method), ...fields]), ended);
}

/** As the wire gives it: checked, and with the authority filled in. */
function headOf(fields: readonly Field[]) {
  const reading = readRequest(fields);
  expect(reading.request(true)).toBeNull();
  return reading.head;
}

function response(status: string, fields: readonly Field[], ended = false, method = 'GET'): H2Response {
  return new H2Response(readResponse([field(':status', status), ...fields]).head, { method, webSocketAccept: null }, ended);
}

describe('a request by HTTP/2', () => {
  it('becomes one of HTTP/1.1: Host, one cookie, our fields, and no hop-by-hop or forged ones', () => {
    const fields = [field('cookie', 'a=1'), field('te', 'trailers'), field('x-sallyport-reason', 'x'), field('x-forwarded-client-cert', 'x'), field('cookie', 'b=2'), field('proxy-authorization', 'x'), field('accept', '*/*')];
    expect(request('GET', fields, true).toHttp1('/a', EDITS).toString('latin1')).toBe('GET /a HTTP/1.1\r\nhost: shop.example:80\r\ncookie: a=1; b=2\r\naccept: */*\r\nx-own: yes\r\n\r\n');
  });

  it.each([
    ['an announced size', 'POST', [field('content-length', '5')], false, 'content-length: 5\r\n'],
    ['no announced size', 'POST', [], false, 'transfer-encoding: chunked\r\n'],
    ['no body where one is usual', 'POST', [], true, 'content-length: 0\r\n'],
    ['no body', 'GET', [], true, ''],
  ])('frames a body for HTTP/1.1: %s', (_, method, fields, ended, framing) => {
    expect(request(method, fields, ended).toHttp1('/', NONE).toString('latin1')).toBe(`${method} / HTTP/1.1\r\nhost: shop.example:80\r\n${framing}\r\n`);
  });

  it('goes on as HTTP/2 with the same field objects, in which te stays for gRPC', () => {
    const accept = field('accept', '*/*');
    const made = request('GET', [accept, field('te', 'trailers'), field('host', 'shop.example:80'), field('x-sallyport-x', 'x')], true).toHttp2('/n', EDITS);
    expect(made.map(({ name, value }) => `${name}=${value}`)).toEqual([':method=GET', ':scheme=http', ':path=/n', ':authority=shop.example:80', 'te=trailers', 'accept=*/*', 'x-own=yes']);
    expect(made).toContain(accept);
  });

  it('has its authority from Host where it has no other', () => {
    const given = new H2Request(headOf([...start('GET').slice(0, 3), field('host', 'a.b')]), true);
    expect(given.host).toBe('a.b');
    expect(given.toHttp2('/a?b', NONE).map(({ name, value }) => `${name}=${value}`)).toEqual([':method=GET', ':scheme=http', ':path=/a?b', ':authority=a.b']);
  });

  it('tells policies the host and one cookie', () => {
    const given = request('GET', [field('cookie', 'a=1'), field('x-a', '1'), field('cookie', 'b=2')], true);
    expect(given.fields(NONE.removal)).toEqual([['host', 'shop.example:80'], ['cookie', 'a=1; b=2'], ['x-a', '1']]);
    expect([given.header('cookie'), given.header('host'), given.header('x-b')]).toEqual(['a=1; b=2', 'shop.example:80', null]);
  });

  it('takes other fields in the place of its own, except those that frame and route it', () => {
    const given = request('POST', [field('content-length', '5'), field('te', 'trailers'), field('x-a', '1')]).withFields([['X-B', '2'], ['Host', 'evil'], ['content-length', '9'], ['connection', 'x-b'], [':path', '/evil']]);
    expect(given.size).toBe(5);
    expect(given.fields(NONE.removal)).toEqual([['host', 'shop.example:80'], ['content-length', '5'], ['x-b', '2']]);
    expect(given.toHttp2('/a?b', NONE).map(({ name }) => name)).toEqual([':method', ':scheme', ':path', ':authority', 'te', 'content-length', 'x-b']);
    expect(() => given.withFields([['x-c', 'a\r\nb: c']])).toThrow(TypeError);
  });

  it('is an upgrade when it asks for a WebSocket by an extended CONNECT', () => {
    const given = new H2Request(headOf([field(':method', 'CONNECT'), field(':protocol', 'websocket'), ...start('GET').slice(1), field('sec-websocket-version', '13')]), false);
    expect([given.webSocket, given.method, given.size]).toEqual([true, 'GET', 0]);
    expect(given.toHttp1('/a', NONE).toString('latin1')).toMatch(/^GET \/a HTTP\/1\.1\r\nhost: shop\.example:80\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: [\w+/]{22}==\r\nsec-websocket-version: 13\r\n\r\n$/);
  });
});

describe('an answer by HTTP/2', () => {
  const how = { close: false, chunked: false, webSocket: false };

  it.each([
    ['chunks where no size is announced', response('200', []), { ...how, chunked: true }, 'HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n'],
    ['its own size', response('200', [field('content-length', '3')]), { ...how, close: true }, 'HTTP/1.1 200 \r\nconnection: close\r\ncontent-length: 3\r\n\r\n'],
    ['no body', response('404', [], true), how, 'HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n'],
    ['no body to HEAD', response('200', [], true, 'HEAD'), how, 'HTTP/1.1 200 \r\n\r\n'],
    ['no length in 204', response('204', [field('content-length', '0')], true), how, 'HTTP/1.1 204 \r\n\r\n'],
  ])('becomes one of HTTP/1.1: %s', (_, given, form, text) => {
    expect(given.toHttp1(NONE, form).toString('latin1')).toBe(text);
  });

  it('goes on as HTTP/2 without what is only for us', () => {
    expect(response('200', [field('x-sallyport-reason', 'x'), field('a', 'b')]).toHttp2(EDITS).map(({ name }) => name)).toEqual([':status', 'a', 'x-own']);
  });
});

it('passes trailers that describe neither framing nor routing, and none that are ours to say', () => {
  const trailers = new H2Trailers([field('grpc-status', '0'), field('content-type', 'x'), field('host', 'x'), field('trailer', 'x'), field('x-sallyport-reason', 'x'), field('te', 'trailers'), field('grpc-message', '')]);
  expect(trailers.toHttp2(EDITS.removal).map(({ name }) => name)).toEqual(['grpc-status', 'grpc-message']);
  expect(trailers.toHttp1(EDITS.removal)).toBe('grpc-status: 0\r\ngrpc-message: \r\n\r\n');
});
