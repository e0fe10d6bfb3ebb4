import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, countOf, freePort, TestMesh, until } from '../../test/mesh.ts';
import { isSkipped, systemProgram } from '../../test/programs.ts';

let mesh: TestMesh;
let out: number;
const closers: (() => void)[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  out = await freePort();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await mesh.close();
});

/** Two proxies with the application behind the second, and the calls of `shop/web` entering the first by TCP. */
async function start(app: string): Promise<void> {
  const port = await freePort();
  const caller = baseEntries(mesh.operator.ca.root);
  addWorkload(caller, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `127.0.0.1:${out}` }] });
  addService(caller, 'pay', 'card', 'http', [{ port, spiffeId: workloadUri('pay', 'card') }]);
  const server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'card', { inbound: [{ port, protocol: 'http', app }] }, { port });
  addPolicy(server, 'pay', 'closed', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/closed'] } }] }] });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', caller), mesh.configure('b', server)]);
}

/** A server by `ws` that sends back what it gets, text as text and bytes as bytes. */
async function echoServer(): Promise<string> {
  const path = mesh.socketPath('echo');
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (data: RawData, binary) => socket.send(data, { binary })));
  server.listen(path);
  await once(server, 'listening');
  closers.push(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return `unix:${path}`;
}

function connect(path: string): WebSocket {
  const socket = new WebSocket(`ws://card.pay${path}`, { createConnection: () => net.connect(out, '127.0.0.1') });
  closers.push(() => socket.terminate());
  return socket;
}

describe('ws, on both ends of two proxies', () => {
  it('exchanges text, a fragmented message, a large one and pings, and closes with its code', async () => {
    await start(await echoServer());
    const socket = connect('/chat');
    await once(socket, 'open');
    const got: string[] = [];
    socket.on('message', (data: Buffer, binary) => got.push(binary ? `${data.length} bytes` : data.toString()));
    socket.send('hello');
    socket.send('one, ', { fin: false });
    socket.send('two', { fin: true });
    socket.send(Buffer.alloc(3_000_000, 7));
    await until('three messages', () => got.length === 3);
    expect(got).toEqual(['hello', 'one, two', '3000000 bytes']);
    const pong = once(socket, 'pong');
    socket.ping('p');
    expect(String((await pong)[0])).toBe('p');
    const closed = once(socket, 'close');
    socket.close(4001, 'enough');
    expect((await closed)[0]).toBe(4001);
    expect(countOf(await mesh.flows('b'), ({ path, verdict, mtls }) => path === '/chat' && verdict === 'allowed' && mtls === 'mutual')).toBe(1);
  });

  it('is told of a denial by its status', async () => {
    await start(await echoServer());
    const [error] = (await once(connect('/closed'), 'error').catch((reason: unknown) => [reason])) as [Error];
    expect(error.message).toBe('Unexpected server response: 403');
  });
});

const wrk = systemProgram('wrk', '-v', /wrk/);

describe.skipIf(isSkipped('calls by wrk', wrk))('wrk', () => {
  it('has all its calls answered, each counted once', async () => {
    let served = 0;
    await start(await mesh.app((_req, res) => {
      served += 1;
      res.end('x'.repeat(1024));
    }));
    const child = spawn('wrk', ['-t', '1', '-c', '16', '-d', '2s', '-H', 'Host: card.pay', `http://127.0.0.1:${out}/items`], { stdio: ['ignore', 'pipe', 'inherit'] });
    const output = await text(child.stdout);
    expect(output).not.toMatch(/Non-2xx|Socket errors/);
    expect(Number(/(\d+) requests in/.exec(output)?.[1])).toBeGreaterThan(0);
    // wrk leaves calls unanswered when its time is over: they were served too, or cut.
    const counted = await until('every call to be counted', async () => {
      const flows = await mesh.flows('b');
      const count = countOf(flows, ({ path }) => path === '/items');
      return count >= served && count;
    });
    expect(counted - served).toBeLessThanOrEqual(16);
  });
});
