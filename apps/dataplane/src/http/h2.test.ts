import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import { answerTo, Front } from './relay.fixture.ts';

type Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

let serve: Handler;
let app: http2.Http2Server;
const sessions: http2.ServerHttp2Session[] = [];
let front: Front;
let client: http2.ClientHttp2Session;

async function startApp(settings: http2.Settings = {}): Promise<void> {
  app = http2.createServer({ settings });
  app.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => undefined);
  });
  app.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    serve(stream, headers);
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
}

beforeEach(async () => {
  sessions.length = 0;
  await startApp();
  front = new Front(() => (app.address() as AddressInfo).port);
  await front.start();
  client = http2.connect(`http://127.0.0.1:${front.port}`);
  client.on('error', () => undefined);
});
afterEach(async () => {
  client.destroy();
  front.stop();
  app.close();
  for (const session of sessions) session.destroy();
});

const echo: Handler = (stream, headers) => {
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-after': 'all', 'x-sallyport-reason': 'forged' }));
  stream.respond({ ':status': 200, 'x-method': String(headers[':method']), 'x-authority': String(headers[':authority']), te: 'trailers' }, { waitForTrailers: true });
  stream.pipe(stream);
};

describe('calls from node:http2 to node:http2', () => {
  it('carries head, body and trailers both ways, and nothing that is only for us', async () => {
    let received: http2.IncomingHttpHeaders = {};
    let after: http2.IncomingHttpHeaders = {};
    serve = (stream, headers) => {
      received = headers;
      stream.once('trailers', (given) => (after = given));
      echo(stream, headers);
    };
    const stream = client.request({ ':method': 'POST', ':path': '/a?b=c', ':authority': 'shop.example', 'x-one': '1', te: 'trailers', 'x-sallyport-principal': 'me' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '5', 'content-type': 'text/evil', 'x-sallyport-reason': 'forged' }));
    stream.end('hello');
    const answer = await answerTo(stream);
    expect(received).toMatchObject({ ':path': '/a?b=c', ':authority': 'shop.example', 'x-one': '1', te: 'trailers' });
    expect(received['x-sallyport-principal']).toBeUndefined();
    expect(Object.entries(after)).toEqual([['x-sum', '5']]);
    expect(answer).toMatchObject({ status: 200, body: Buffer.from('hello') });
    expect(Object.entries(answer.trailers)).toEqual([['x-after', 'all']]);
  });

  it('streams 8 MiB there and back through windows that are much smaller', async () => {
    serve = echo;
    const body = randomBytes(8 * 1024 * 1024);
    const stream = client.request({ ':method': 'POST', ':path': '/' });
    stream.end(body);
    expect((await answerTo(stream)).body.equals(body)).toBe(true);
  });

  it('does not read a body that nobody takes further than its window', async () => {
    let taken = 0;
    serve = (stream) => {
      stream.on('data', (chunk: Buffer) => (taken += chunk.length));
      stream.pause();
      stream.respond({ ':status': 200 });
    };
    const stream = client.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => undefined);
    const piece = Buffer.alloc(65_536);
    let written = 0;
    const pump = (): void => {
      while (written < 64 * 1024 * 1024 && stream.write(piece)) written += piece.length;
    };
    stream.on('drain', pump);
    pump();
    await once(stream, 'response');
    await until('no more to be taken', async () => {
      const before = written;
      for (let i = 0; i < 20; i += 1) await new Promise((resolve) => client.ping(resolve));
      return written === before;
    });
    expect(written).toBeLessThan(4 * 1024 * 1024);
    expect(taken).toBeLessThanOrEqual(written);
    stream.close();
  });

  it('answers many calls on one connection', async () => {
    serve = (stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.end(String(headers[':path']));
    };
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => answerTo(client.request({ ':path': `/${index}` }))));
    expect(answers.map(({ body }) => body.toString())).toEqual(Array.from({ length: 200 }, (_, index) => `/${index}`));
    expect(front.servers).toHaveLength(1);
    expect(front.dials).toBeLessThan(4);
  });

  it('passes interim answers and answers without a body', async () => {
    serve = (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
      stream.respond({ ':status': 204 }, { endStream: true });
    };
    const stream = client.request({ ':path': '/' });
    const [hints] = (await once(stream, 'headers')) as [http2.IncomingHttpHeaders];
    expect(hints).toMatchObject({ ':status': 103, link: '</style.css>' });
    expect((await answerTo(stream)).status).toBe(204);
  });
});

describe('calls that end before their time', () => {
  it('cancels at the application what the caller cancels', async () => {
    let code: number | undefined;
    serve = (stream) => {
      stream.once('close', () => (code = stream.rstCode));
      stream.respond({ ':status': 200 });
      stream.write('begun');
    };
    const stream = client.request({ ':path': '/' });
    await once(stream, 'data');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await until('the application to be told', () => code !== undefined);
    expect(code).toBe(http2.constants.NGHTTP2_CANCEL);
  });

  it('breaks at the caller what the application breaks, and does not call it untouched', async () => {
    serve = (stream) => {
      stream.respond({ ':status': 200 });
      stream.write('begun', () => stream.destroy(new Error('broken')));
    };
    await expect(answerTo(client.request({ ':path': '/' }))).rejects.toThrow(/INTERNAL_ERROR/);
    expect(front.failures).toMatchObject([{ untouched: false }]);
  });

  it('calls untouched what the application refused to look at', async () => {
    serve = (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    await expect(answerTo(client.request({ ':path': '/' }))).rejects.toThrow(/INTERNAL_ERROR/);
    expect(front.failures).toMatchObject([{ untouched: true }]);
  });

  it('calls untouched what was never sent, because nobody speaks HTTP/2 there', async () => {
    app.close();
    const other = net.createServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    app = other as unknown as http2.Http2Server;
    await expect(answerTo(client.request({ ':path': '/' }))).rejects.toThrow(/INTERNAL_ERROR/);
    expect(front.failures).toMatchObject([{ untouched: true, message: /no HTTP\/2 there/ }]);
  });

  it('delivers an answer that comes before the request is read, and stops the request', async () => {
    serve = (stream) => {
      stream.respond({ ':status': 413 });
      stream.end('too much');
    };
    const stream = client.request({ ':method': 'POST', ':path': '/' });
    stream.write(Buffer.alloc(1024));
    expect(await answerTo(stream)).toMatchObject({ status: 413, body: Buffer.from('too much') });
    await until('the stream to close', () => stream.closed);
    expect(front.failures).toEqual([]);
  });
});

describe('connections to the application', () => {
  it('opens more when all streams of one are in use', async () => {
    app.close();
    await startApp({ maxConcurrentStreams: 2 });
    const held: http2.ServerHttp2Stream[] = [];
    serve = (stream) => void held.push(stream);
    const answers = Promise.all(Array.from({ length: 5 }, () => answerTo(client.request({ ':path': '/' }))));
    await until('all calls to arrive', () => held.length === 5);
    expect(sessions).toHaveLength(3);
    for (const stream of held) stream.respond({ ':status': 204 }, { endStream: true });
    expect((await answers).map(({ status }) => status)).toEqual([204, 204, 204, 204, 204]);
  });

  it('goes to a new one after a farewell, while the old one finishes', async () => {
    const held: http2.ServerHttp2Stream[] = [];
    serve = (stream) => void held.push(stream);
    const first = answerTo(client.request({ ':path': '/' }));
    await until('the first call', () => held.length === 1);
    sessions[0]?.goaway(0, held[0]!.id);
    // The farewell travels; a call that comes after it must not go to the old connection.
    await until('a call on a new connection', async () => {
      const before = sessions.length;
      const seen = held.length;
      const next = answerTo(client.request({ ':path': '/' }));
      await until('it to arrive', () => held.length > seen);
      held.at(-1)!.respond({ ':status': 204 }, { endStream: true });
      await next;
      return sessions.length > 1 && before > 0;
    });
    held[0]!.respond({ ':status': 204 }, { endStream: true });
    expect((await first).status).toBe(204);
    expect(front.failures).toEqual([]);
  });
});

describe('the front', () => {
  it('says goodbye, finishes what is in flight and closes', async () => {
    let held: http2.ServerHttp2Stream | undefined;
    serve = (stream) => (held = stream);
    const answer = answerTo(client.request({ ':path': '/' }));
    await until('the call', () => held);
    const goodbye = once(client, 'goaway');
    const closed = once(client, 'close');
    front.servers[0]!.retire();
    await goodbye;
    held!.respond({ ':status': 204 }, { endStream: true });
    expect((await answer).status).toBe(204);
    await closed;
  });

  it('tells of peers that break the rules', async () => {
    const socket = net.connect(front.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume().write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x06\0\0\0\0\0');
    await once(socket, 'close');
    expect(front.malformed).toEqual(['the first frame is not SETTINGS']);
  });

  it('answers 501 to a tunnel', async () => {
    const stream = client.request({ ':method': 'CONNECT', ':authority': 'example.com:443' });
    const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect(answer[':status']).toBe(501);
    expect(front.malformed).toEqual(['a request that is not served here']);
    stream.close();
  });
});
