import http from 'node:http';
import http2 from 'node:http2';
import type net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addService, addTraffic, addWorkload, baseEntries, call, countOf, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let client: Entries;
const closers: (() => void)[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  await mesh.proxy('a');
});
afterEach(async () => {
  await mesh.close();
  for (const close of closers.splice(0)) close();
});

/** An application outside the mesh with the calls that it holds, and how many connections it had at once. */
interface Application {
  readonly port: number;
  readonly held: (() => void)[];
  holds: boolean;
  open: number;
  most: number;
}

async function serve(server: net.Server): Promise<Application> {
  const self: Application = { port: await freePort(), held: [], holds: true, open: 0, most: 0 };
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    self.open += 1;
    self.most = Math.max(self.most, self.open);
    socket.on('error', () => undefined).on('close', () => {
      sockets.delete(socket);
      self.open -= 1;
    });
  });
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(self.port, '127.0.0.1', resolve));
  return self;
}

async function http1(): Promise<Application> {
  const server = http.createServer((_req, res) => {
    if (self.holds) self.held.push(() => void res.end('app'));
    else res.end('app');
  });
  server.on('upgrade', (_req, socket: net.Socket) => {
    socket.on('end', () => socket.end()).resume();
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const self = await serve(server);
  return self;
}

/** One that takes one call at a time on a connection. */
async function h2(): Promise<Application> {
  const server = http2.createServer({ settings: { maxConcurrentStreams: 1 } });
  const self = await serve(server);
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    self.held.push(() => {
      stream.respond({ ':status': 200 });
      stream.end('app');
    });
  });
  return self;
}

async function configure(protocol: 'http' | 'http2', list: readonly Application[], circuitBreaker: object): Promise<void> {
  addService(client, 'pay', 'api', protocol, list.map(({ port }) => ({ port, spiffeId: null })));
  addTraffic(client, 'pay', ['api'], { circuitBreaker });
  await mesh.configure('a', client);
}

const get = () => call({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay' } });
const overloaded = async () => countOf(await mesh.flows('a'), ({ verdict, reason }) => verdict === 'failed' && reason === 'overloaded');
const OVERLOADED = { status: 503, headers: { 'x-sallyport-reason': 'overloaded' } } as const;

describe.each([['HTTP/1.1', 'http', http1], ['HTTP/2', 'http2', h2]] as const)('connections of %s', (_name, protocol, application) => {
  it('are no more than the policy allows, and are used again', async () => {
    const api = await application();
    await configure(protocol, [api], { maxConnections: 2 });
    for (let round = 0; round < 2; round += 1) {
      const first = get();
      await until('an open call', () => api.held.length === 1);
      const second = get();
      await until('another', () => api.held.length === 2);
      expect(await get()).toMatchObject(OVERLOADED);
      for (const answer of api.held.splice(0)) answer();
      expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
    }
    expect([api.most, await overloaded()]).toEqual([2, 2]);
  });

  it('have as many calls wait for them as the policy says', async () => {
    const api = await application();
    await configure(protocol, [api], { maxConnections: 1, maxPendingRequests: 1 });
    const first = get();
    await until('an open call', () => api.held.length === 1);
    const others = [get(), get()];
    expect(await Promise.race(others)).toMatchObject(OVERLOADED);
    api.held.pop()?.();
    await until('the one that waited', () => api.held.length === 1);
    api.held.pop()?.();
    const statuses = (await Promise.all([first, ...others])).map(({ status }) => status);
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 200, 503]);
    expect(api.most).toBe(1);
  });
});

describe('a connection that is kept', () => {
  it('does not keep calls from another endpoint', async () => {
    const list = [await http1(), await http1()];
    for (const each of list) each.holds = false;
    await configure('http', list, { maxConnections: 1 });
    for (let time = 0; time < 30; time += 1) expect((await get()).status).toBe(200);
    expect(list.map(({ most }) => most)).toEqual([1, 1]);
  });

  it('gives way to a call that waits for another endpoint', async () => {
    const list = [await http1(), await http1()];
    await configure('http', list, { maxConnections: 1, maxPendingRequests: 10 });
    const calls = Array.from({ length: 8 }, get);
    const held = () => list.flatMap((each) => each.held.splice(0));
    for (let answered = 0; answered < 8; answered += 1) (await until('the next call', () => held()[0]))();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(calls.map(() => 200));
  });
});

it('a connection that switched protocols is one until it ends', async () => {
  const api = await http1();
  api.holds = false;
  await configure('http', [api], { maxConnections: 1 });
  const upgrade = http.get({ socketPath: mesh.socketPath('web'), headers: { host: 'api.pay', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-version': '13' } });
  const socket = await new Promise<net.Socket>((resolve) => upgrade.once('upgrade', (_res, given: net.Socket) => resolve(given)));
  expect(await get()).toMatchObject(OVERLOADED);
  socket.destroy();
  await until('room', async () => (await get()).status === 200);
});
