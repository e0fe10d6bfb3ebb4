import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { field } from '../hpack/field.ts';
import type { Connection } from './connection.ts';
import type { MessageHead } from './message.ts';
import { bind } from './peer.fixture.ts';
import { ERROR } from './protocol.ts';
import type { Stream } from './stream.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listening(server: net.Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const valueOf = (head: MessageHead, name: string) => head.fields.find((each) => each.name === name)?.value;

/** Our server: sends back what it gets, with trailers, at the pace at which the client takes it. */
async function echo(): Promise<{ port: number; connections: Connection<null>[] }> {
  const connections: Connection<null>[] = [];
  const server = net.createServer((socket) => {
    cleanups.push(() => socket.destroy());
    const held = new Map<number, number>();
    const finish = (stream: Stream<null>): void => connection.trailers(stream, [field('x-end', 'yes')]);
    const connection = bind<null>(socket, { role: 'server' }, {
      onHeaders: (stream, head, end) => {
        if (head.expectsContinue) connection.respond(stream, [field(':status', '100')], false);
        connection.respond(stream, [field(':status', '200'), field('x-path', head.path), field('x-cookie', valueOf(head, 'cookie') ?? 'none')], false);
        if (end) finish(stream);
      },
      onData: (stream, data, end) => {
        // Only what the client takes is given back to it.
        if (connection.write(stream, data, false)) connection.consume(stream, data.length);
        else held.set(stream.id, (held.get(stream.id) ?? 0) + data.length);
        if (end) finish(stream);
      },
      onDrain: (stream) => {
        connection.consume(stream, held.get(stream.id) ?? 0);
        held.delete(stream.id);
      },
      onTrailers: finish,
    });
    connections.push(connection);
  });
  return { port: await listening(server), connections };
}

function client(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  cleanups.push(() => session.destroy());
  return session;
}

describe('node:http2 as the client of our server', () => {
  it('gets heads, content and trailers of many streams at once', async () => {
    const { port } = await echo();
    const session = client(port);
    const bodies = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const request = session.request({ ':method': 'POST', ':path': `/${i}`, cookie: `a=${i}` }, { endStream: false });
        request.end('x'.repeat(i * 900));
        const trailers = once(request, 'trailers');
        const [headers] = (await once(request, 'response')) as [http2.IncomingHttpHeaders];
        const body = await text(request);
        const [{ 'x-end': ended }] = (await trailers) as [Record<string, string>];
        return [headers[':status'], headers['x-path'], headers['x-cookie'], body.length, ended];
      }),
    );
    expect(bodies).toEqual(Array.from({ length: 60 }, (_, i) => [200, `/${i}`, `a=${i}`, i * 900, 'yes']));
  });

  it('moves megabytes through windows, both ways', async () => {
    const { port, connections } = await echo();
    const session = client(port);
    const sent = Buffer.alloc(8 * 1024 * 1024, 'abcdefgh');
    const request = session.request({ ':method': 'POST', ':path': '/big' }, { endStream: false });
    request.end(sent);
    expect((await buffer(request)).equals(sent)).toBe(true);
    expect(connections[0]?.streamCount).toBe(0);
  });

  it('holds no more than the windows for a client that does not read', async () => {
    const { port, connections } = await echo();
    const session = client(port);
    const request = session.request({ ':method': 'POST', ':path': '/slow' }, { endStream: false });
    let written = 0;
    const chunk = Buffer.alloc(65_536);
    request.on('error', () => undefined);
    while (written < 16 * 1024 * 1024 && request.write(chunk)) written += chunk.length;
    request.pause();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(connections[0]?.pendingBytes).toBeLessThan(512 * 1024);
    expect(written).toBeLessThan(4 * 1024 * 1024);
    request.close();
  });

  it('is asked to continue, resets, pings and says goodbye', async () => {
    const { port, connections } = await echo();
    const session = client(port);
    const waiting = session.request({ ':method': 'POST', ':path': '/', expect: '100-continue' }, { endStream: false });
    await once(waiting, 'continue');
    waiting.close(http2.constants.NGHTTP2_CANCEL);
    await once(waiting, 'close');
    await new Promise<void>((resolve, reject) => {
      session.ping((error) => (error ? reject(error) : resolve()));
    });
    expect(connections[0]?.streamCount).toBe(0);
    const goodbye = once(session, 'goaway');
    await new Promise<void>((resolve) => {
      connections[0]?.shutdown(resolve);
    });
    expect((await goodbye)[0]).toBe(ERROR.NO_ERROR);
  });

  it('shutdown lets what is open finish, and takes what was on its way', async () => {
    const { port, connections } = await echo();
    const session = client(port);
    const request = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
    request.write('a');
    await once(request, 'response');
    const drained = new Promise<void>((resolve) => {
      connections[0]?.shutdown(resolve);
    });
    await once(session, 'goaway');
    request.end('b');
    expect(await text(request)).toBe('ab');
    await drained;
  });
});

describe('our client of node:http2', () => {
  async function connect(handle: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void, handler: Parameters<typeof bind<string[]>>[2]) {
    const server = http2.createServer({ settings: { initialWindowSize: 70_000, headerTableSize: 256, enableConnectProtocol: false } });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      handle(stream, headers);
    });
    server.on('session', (session) => void cleanups.push(() => session.destroy()));
    const socket = net.connect(await listening(server), '127.0.0.1');
    cleanups.push(() => socket.destroy());
    return bind<string[]>(socket, { role: 'client' }, handler);
  }

  const get = (path: string, method = 'GET') => [field(':method', method), field(':scheme', 'http'), field(':authority', 'shop'), field(':path', path), field('x-same', 'value')];

  it('reads interim heads, heads, content and trailers', async () => {
    const told: string[] = [];
    let done = (): void => undefined;
    const finished = new Promise<void>((resolve) => {
      done = resolve;
    });
    const connection = await connect(
      (stream) => {
        stream.additionalHeaders({ ':status': 103, link: '</a>' });
        stream.respond({ ':status': 200, 'x-a': 'b' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-t': '1' }));
        stream.end('body');
      },
      {
        onHeaders: (_, { status }) => told.push(String(status)),
        onData: (stream, data) => {
          told.push(data.toString());
          connection.consume(stream, data.length);
        },
        onTrailers: (_, fields) => {
          told.push(...fields.map(({ name, value }) => `${name}=${value}`));
          done();
        },
      },
    );
    connection.open(get('/'), true);
    await finished;
    expect(told).toEqual(['103', '200', 'body', 'x-t=1']);
  });

  it('opens no more streams than the server allows, sends megabytes, and uses the table of another size', async () => {
    const sizes: number[] = [];
    let open = 0;
    const connection = await connect(
      (stream) => {
        const answer = async (): Promise<void> => {
          sizes.push((await buffer(stream)).length);
          stream.respond({ ':status': 200 });
          stream.end();
        };
        void answer();
      },
      {
        onData: (_, __, end) => {
          if (end) open -= 1;
        },
      },
    );
    const large = Buffer.alloc(300_000, 'x');
    for (let i = 0; i < 100; i += 1) {
      const stream = connection.open(get(`/${i}`, 'POST'), false);
      open += 1;
      if (stream) connection.write(stream, large, true);
    }
    expect(connection.canOpen).toBe(false);
    expect(connection.open(get('/no'), true)).toBeNull();
    await expect.poll(() => open, { timeout: 15_000 }).toBe(0);
    expect(sizes).toEqual(Array.from({ length: 100 }, () => 300_000));
    expect(connection.canOpen).toBe(true);
  });

  it('learns of resets and of a goodbye', async () => {
    const told: string[] = [];
    const connection = await connect(
      (stream, headers) => {
        if (headers[':path'] === '/reset') stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        else stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, 1);
      },
      {
        onReset: (stream, code, retryable) => told.push(`${stream.id} ${code} ${retryable}`),
        onGoAway: (code) => told.push(`goaway ${code}`),
      },
    );
    connection.open(get('/reset'), true);
    await expect.poll(() => told).toEqual(['1 2 false']);
    connection.open(get('/goaway'), true);
    await expect.poll(() => told.slice(1)).toEqual(['3 7 true', 'goaway 0']);
    expect(connection.canOpen).toBe(false);
  });
});

describe('HBONE: tunnels by CONNECT, as ztunnel opens them', () => {
  it('carry bytes both ways and keep half-closes', async () => {
    const told: string[] = [];
    const server = net.createServer((socket) => {
      const connection = bind<null>(socket, { role: 'server' }, {
        onHeaders: (stream, { method, authority, path, scheme }) => {
          told.push([method, authority, path, scheme].join('|'));
          connection.respond(stream, [field(':status', '200')], false);
        },
        onData: (stream, data, end) => {
          connection.consume(stream, data.length);
          if (data.length > 0) connection.write(stream, Buffer.from(data.toString().toUpperCase()), false);
          if (end) connection.write(stream, Buffer.from('bye'), true);
        },
      });
    });
    const session = client(await listening(server));
    const tunnel = session.request({ ':method': 'CONNECT', ':authority': '10.0.0.7:8080' });
    const [headers] = (await once(tunnel, 'response')) as [http2.IncomingHttpHeaders];
    tunnel.write('hello ');
    tunnel.end('there ');
    expect([headers[':status'], await text(tunnel)]).toEqual([200, 'HELLO THERE bye']);
    expect(told).toEqual(['CONNECT|10.0.0.7:8080||']);
  });

  it('are opened by our client', async () => {
    const server = http2.createServer();
    server.on('stream', (stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.write(`${headers[':method']} ${headers[':authority']} `);
      stream.pipe(stream);
    });
    server.on('session', (session) => void cleanups.push(() => session.destroy()));
    const socket = net.connect(await listening(server), '127.0.0.1');
    cleanups.push(() => socket.destroy());
    let got = '';
    let ended = false;
    const connection = bind<null>(socket, { role: 'client' }, {
      onData: (stream, data, end) => {
        got += data.toString();
        connection.consume(stream, data.length);
        ended = end;
      },
    });
    const tunnel = connection.open([field(':method', 'CONNECT'), field(':authority', '10.0.0.7:8080')], false);
    if (tunnel) connection.write(tunnel, Buffer.from('bytes'), true);
    await expect.poll(() => ended).toBe(true);
    expect(got).toBe('CONNECT 10.0.0.7:8080 bytes');
  });
});
