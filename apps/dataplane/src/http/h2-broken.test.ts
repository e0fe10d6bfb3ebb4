import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { Pair } from '../../test/pair.ts';
import { RawClient } from '../../test/raw-client.ts';
import { field } from '../wire/hpack/field.ts';
import type { Connection } from '../wire/index.ts';
import { bind } from '../wire/h2/peer.fixture.ts';
import { described, GET, headers, settings } from '../wire/h2/frames.fixture.ts';
import { ERROR, PREFACE } from '../wire/h2/protocol.ts';
import { answerTo } from './relay.fixture.ts';

let pair: Pair;
let client: http2.ClientHttp2Session | null = null;
let app: http2.Http2Server | null = null;
const sessions = new Set<http2.ServerHttp2Session>();
afterEach(async () => {
  client?.destroy();
  for (const session of sessions) session.destroy();
  app?.close();
  await pair.mesh.close();
});

/** An application on HTTP/2 behind both proxies, and a caller of it. */
async function start(serve: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void): Promise<void> {
  const server = http2.createServer();
  app = server;
  server.on('session', (session) => sessions.add(session.on('error', () => undefined)));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    serve(stream, headers);
  });
  pair = await Pair.start('http2', async (mesh) => {
    server.listen(mesh.socketPath('app'));
    await once(server, 'listening');
    return `unix:${mesh.socketPath('app')}`;
  });
  client = http2.connect('http://api.pay', { createConnection: () => net.connect(pair.out) });
  client.on('error', () => undefined);
}

function ask(method: string, path: string, body?: string): http2.ClientHttp2Stream {
  const stream = client!.request({ ':method': method, ':path': path }, { endStream: body === undefined });
  stream.on('error', () => undefined);
  if (body !== undefined) stream.end(body);
  return stream;
}

it.each([
  ['CANCEL, as gRPC services cancel', ERROR.CANCEL, ERROR.CANCEL],
  ['REFUSED_STREAM, which is not true any more, as INTERNAL_ERROR', ERROR.REFUSED_STREAM, ERROR.INTERNAL_ERROR],
])('an answer that the application breaks off reaches the caller by %s', async (_, given, got) => {
  pair = await Pair.start('http2', (mesh) => mesh.tcpApp((socket) => {
    const connection: Connection<null> = bind<null>(socket, { role: 'server' }, {
      onHeaders: (stream) => {
        connection.respond(stream, [field(':status', '200')], false);
        connection.write(stream, Buffer.from('half'), false);
        connection.reset(stream, given);
      },
    });
  }));
  const raw = new RawClient(pair.out);
  raw.send(Buffer.concat([PREFACE, settings(), headers(1, [...GET.filter(([name]) => name !== ':authority'), [':authority', 'api.pay']])]));
  const last = await until('the reset', () => described([Buffer.from(raw.text, 'latin1')]).find((each) => each.startsWith('RST_STREAM')));
  expect(last).toBe(`RST_STREAM 1 ${got}`);
  raw.socket.destroy();
});

it.each([
  ['a GET, once', 'GET', undefined, 200, 2],
  ['not what may have been done', 'POST', undefined, 503, 1],
  ['not what has a body', 'PUT', 'x', 503, 1],
])('sends again what met a kept connection that closed without a word: %s', async (_, method, body, status, times) => {
  let asked = 0;
  await start((stream, headers) => {
    if (headers[':path'] === '/victim') asked += 1;
    if (headers[':path'] === '/victim' && asked === 1) stream.session?.socket.destroy();
    else stream.respond({ ':status': 200 }, { endStream: true });
  });
  expect((await answerTo(ask('GET', '/'))).status).toBe(200);
  expect([(await answerTo(ask(method, '/victim', body))).status, asked]).toEqual([status, times]);
});

it('does not send again what meets its end on a fresh connection, nor a second time', async () => {
  let asked = 0;
  await start((stream) => {
    asked += 1;
    stream.session?.socket.destroy();
  });
  expect([(await answerTo(ask('GET', '/'))).status, asked]).toEqual([503, 1]);
});
