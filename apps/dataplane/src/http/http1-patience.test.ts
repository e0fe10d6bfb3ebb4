import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort, until } from '../../test/mesh.ts';
import { RawClient } from '../../test/raw-client.ts';
import { SocketLink } from '../link/socket-link.ts';
import { compileRemoval } from '../wire/index.ts';
import type { Downstream, Edits, RequestMessage, UpstreamUser } from './exchange.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http1Server } from './http1-server.ts';
import { refuse } from './own-response.ts';

const EDITS: Edits = { removal: compileRemoval([], []), added: [] };
const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

let listener: net.Server;
let port: number;
let server: Http1Server | null;
let accepted: net.Socket | null;
let calls: Downstream[];
let told: string[];
let client: RawClient;
/** Set to be given sockets instead of having them served. */
let upstream: ((socket: net.Socket) => void) | null;

/** The seconds of connections are told by hand here; sockets are real. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  port = await freePort();
  calls = [];
  told = [];
  upstream = null;
  server = null;
  listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    if (upstream !== null) return upstream(socket);
    accepted = socket;
    server = new Http1Server(new SocketLink(socket), {
      onCall: (call) => {
        call.attach({ onBody: (data) => told.push(data.toString()), onEnd: () => told.push('end'), onDrain: () => told.push('drain'), onAbort: () => told.push('abort') });
        calls.push(call);
      },
      onMalformed: (reason) => told.push(reason),
      onDefect: (error) => told.push(String(error)),
      onClose: () => told.push('close'),
    });
    server.start();
  });
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
});
afterEach(() => {
  client?.socket.destroy();
  server?.destroy();
  listener.close();
  vi.useRealTimers();
});

function seconds(count: number): void {
  vi.advanceTimersByTime(count * 1_000);
}

async function connect(): Promise<RawClient> {
  client = new RawClient(port);
  await until('the connection', () => server);
  return client;
}

async function nextCall(): Promise<Downstream> {
  const count = calls.length;
  return until('a call', () => calls[count]);
}

const answer = (call: Downstream) => refuse(call, 403, 'policy-deny', 'no', false);

describe('a connection of a caller', () => {
  it('that retires takes the call that may be on its way', async () => {
    await connect();
    client.send(HEAD);
    answer(await nextCall());
    await client.gets('sallyport: no');
    server?.retire();
    seconds(2);
    client.send(HEAD.replace('GET', 'POST'));
    answer(await nextCall());
    expect(await client.end()).toMatch(/(?:HTTP\/1.1 403 [^]*){2}/);
  });

  it('that retires ends when no call comes for 3 s', async () => {
    await connect();
    server?.retire();
    seconds(3);
    await client.end();
    expect(told).toEqual(['close']);
  });


  it('is closed after 75 s without a call, and not while there is one', async () => {
    await connect();
    client.send(HEAD);
    const call = await nextCall();
    seconds(200);
    answer(call);
    await client.gets('sallyport: no');
    seconds(74);
    client.send(HEAD);
    answer(await nextCall());
    await until('the second answer', () => client.text.split('sallyport: no').length === 3);
    seconds(75);
    await client.end();
    expect(told).toEqual(['close']);
  });

  it('gets 408 for a head that takes longer than 10 s from its first byte on, however it trickles', async () => {
    await connect();
    client.send(HEAD);
    answer(await nextCall());
    await client.gets('sallyport: no');
    seconds(30);
    for (const byte of 'GET / HT') {
      client.send(byte);
      const { bytesWritten } = client.socket;
      await until('the byte to arrive', () => accepted?.bytesRead === bytesWritten);
      seconds(2);
    }
    expect(await client.end()).toContain('HTTP/1.1 408 Request Timeout\r\nx-sallyport-reason: bad-request\r\nconnection: close\r\n');
    expect(told).toContain('the head takes too long');
  });

  it('gets 408 for a body of which nothing comes for 300 s, while somebody waits for it', async () => {
    await connect();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1');
    const call = await nextCall();
    seconds(400);
    expect(told).toEqual([]);
    call.readBody();
    expect(told).toEqual(['1']);
    seconds(299);
    client.send('2');
    await until('the second byte', () => told.includes('2'));
    call.pause();
    seconds(400);
    call.resume();
    seconds(299);
    expect(told).toEqual(['1', '2']);
    seconds(1);
    expect(await client.end()).toMatch(/^HTTP\/1\.1 408 /);
    await until('the close', () => told.length === 4);
    expect(told).toEqual(['1', '2', 'abort', 'close']);
  });

  it('is reset when nothing of an answer is taken for 300 s', async () => {
    await connect();
    client.socket.pause();
    client.send(HEAD);
    const call = await nextCall();
    call.respond({ status: 200, size: 100_000_000, header: () => null, fields: () => [], toHttp1: () => Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n'), toHttp2: () => [] }, EDITS, { end: false, close: false });
    // No drain can come between these lines.
    while (call.write(Buffer.alloc(65_536)));
    seconds(300);
    expect(told).toEqual([]);
    seconds(1);
    await until('the close', () => told.includes('close'));
    expect(told).toEqual(['abort', 'close']);
  });
});

describe('a pool', () => {
  const request = (method = 'GET'): RequestMessage => ({
    version: '1.1', method, host: 'a', target: '/', size: 0, expectsContinue: false, webSocket: false,
    header: () => null, fields: () => [], toHttp1: () => Buffer.from(HEAD), toHttp2: () => [], withFields: () => request(method),
  });
  const sockets: net.Socket[] = [];
  const failed = (error: unknown) => told.push(String(error));

  beforeEach(() => {
    sockets.length = 0;
    upstream = (socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')).on('end', () => socket.end());
    };
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
  });

  async function dial(): Promise<SocketLink> {
    const socket = net.connect({ port, host: '127.0.0.1' });
    await new Promise((resolve) => socket.once('connect', resolve));
    return new SocketLink(socket);
  }

  /** One call; resolves with what it came to. */
  function ask(pool: Http1Pool, method = 'GET'): Promise<string> {
    return new Promise((resolve) => {
      let body = '';
      const user: UpstreamUser = {
        onInterim: () => undefined,
        onResponse: (_response, end) => (end ? resolve('') : undefined),
        onBody: (data) => (body += data.toString()),
        onEnd: () => resolve(body),
        onDrain: () => undefined,
        onFailed: (error, untouched) => resolve(`${error.message}${untouched ? ', untouched' : ''}`),
      };
      pool.call(request(method), '/', EDITS, false, user);
    });
  }

  it('keeps a connection for 30 s, and none that is too old, and none after its retirement', async () => {
    const pool = new Http1Pool(dial, failed);
    expect([await ask(pool), await ask(pool)]).toEqual(['ok', 'ok']);
    seconds(29);
    expect([await ask(pool), sockets.length, pool.load]).toEqual(['ok', 1, 0]);
    seconds(30);
    await until('the close', () => sockets[0]?.readableEnded);
    for (let i = 0; i < 180; i += 1) {
      expect(await ask(pool)).toBe('ok');
      seconds(25);
    }
    // 75 minutes: an hour and a tenth is the longest that a connection lives.
    expect(sockets).toHaveLength(3);
    pool.retire();
    await until('the close', () => sockets[2]?.readableEnded);
  });

  it('that was idle for 2 s carries nothing that could not be sent again', async () => {
    const pool = new Http1Pool(dial, failed);
    await ask(pool);
    seconds(1);
    expect([await ask(pool, 'POST'), sockets.length]).toEqual(['ok', 1]);
    seconds(2);
    expect([await ask(pool, 'POST'), sockets.length]).toEqual(['ok', 2]);
    seconds(2);
    expect([await ask(pool), sockets.length]).toEqual(['ok', 2]);
    expect([await ask(pool, 'POST'), sockets.length]).toEqual(['ok', 2]);
  });

  it.each([['timeout=5', 2, 3], ['max=7, timeout=5', 2, 3], ['timeout=2', 0, 1], ['Timeout="60"', 29, 30], ['max=7', 29, 30]])('is kept for less time than the server says: %s', async (said, kept, gone) => {
    upstream = (socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nKeep-Alive: ${said}\r\nContent-Length: 2\r\n\r\nok`)).on('end', () => socket.end());
    };
    const pool = new Http1Pool(dial, failed);
    await ask(pool);
    seconds(kept);
    expect([await ask(pool), sockets.length]).toEqual(['ok', 1]);
    seconds(gone);
    expect([await ask(pool), sockets.length]).toEqual(['ok', 2]);
  });

  it('is not kept where the server gives it a second', async () => {
    upstream = (socket) => void sockets.push(socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok')).on('end', () => socket.end()));
    const pool = new Http1Pool(dial, failed);
    expect([await ask(pool), await ask(pool), sockets.length]).toEqual(['ok', 'ok', 2]);
  });

  it('gives up an answer of which nothing comes for 300 s', async () => {
    upstream = (socket) => void sockets.push(socket);
    const pool = new Http1Pool(dial, failed);
    const asked = ask(pool);
    await until('the request', () => {
      sockets[0]?.resume();
      return (sockets[0]?.bytesRead ?? 0) > 0;
    });
    seconds(300);
    expect(await asked).toBe('the upstream sent nothing for too long');
  });

  it('tells a dial that failed as one that touched nothing, and dials for each that waits', async () => {
    let dials = 0;
    const pool = new Http1Pool(() => {
      dials += 1;
      return dials === 1 ? Promise.reject(new Error('refused')) : dial();
    }, failed);
    expect(await Promise.all([ask(pool), ask(pool)])).toEqual(['refused, untouched', 'ok']);
  });

  it('bounds its connections, and the calls that wait for one', async () => {
    let dials = 0;
    const pool = new Http1Pool(() => {
      dials += 1;
      return new Promise(() => undefined);
    }, failed);
    const asked = Array.from({ length: 4_097 }, () => ask(pool));
    expect(await asked[4_096]).toBe('too many calls wait for a connection, untouched');
    expect([dials, pool.load]).toEqual([512, 4_096]);
  });
});
