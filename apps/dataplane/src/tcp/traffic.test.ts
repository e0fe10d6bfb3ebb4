import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addService, addTraffic, addWorkload, baseEntries, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let client: Entries;
/** Connections that came to an endpoint which is no proxy: every handshake with it fails. */
let visits: number;
let broken: net.Server;
let brokenPort: number;

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  const app = await mesh.tcpApp((socket) => socket.on('data', (chunk: Buffer) => socket.write(chunk)).on('end', () => socket.end()));
  visits = 0;
  brokenPort = await freePort();
  broken = net.createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => broken.listen(brokenPort, '127.0.0.1', resolve));
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'tcp', listen: `unix:${mesh.socketPath('db')}`, service: 'db', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'db', 'tcp', [{ port, spiffeId: workloadUri('pay', 'db') }]);
  const server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'db', { inbound: [{ port, protocol: 'tcp', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
});
afterEach(async () => {
  broken.close();
  await mesh.close();
});

/** A connection that got its echo; null when it was closed. */
async function connect(): Promise<net.Socket | null> {
  const socket = net.connect(mesh.socketPath('db'));
  socket.on('error', () => undefined);
  socket.write('ping');
  return new Promise((resolve) => {
    socket.once('data', () => resolve(socket));
    socket.once('close', () => resolve(null));
  });
}

it('has no more connections open than the policy allows, and one more when one ends', async () => {
  addTraffic(client, 'pay', ['db'], { circuitBreaker: { maxConnections: 2 } });
  await mesh.configure('a', client);
  const [first, second] = [await connect(), await connect()];
  expect([first, second]).not.toContain(null);
  expect(await connect()).toBeNull();
  expect(countOf(await mesh.flows('a'), (flow) => flow.verdict === 'failed' && flow.reason === 'overloaded')).toBe(1);
  first?.destroy();
  const third = await until('a place', connect);
  for (const socket of [second, third]) socket?.destroy();
});

it('leaves an endpoint alone that fails, and calls go on', async () => {
  const spiffeId = workloadUri('pay', 'db');
  addService(client, 'pay', 'db', 'tcp', [{ port: brokenPort, spiffeId }, { port, spiffeId }]);
  addTraffic(client, 'pay', ['db'], { outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: '1h' } });
  await mesh.configure('a', client);
  for (let call = 0; call < 40; call += 1) {
    const socket = await connect();
    expect(socket).not.toBeNull();
    socket?.destroy();
  }
  expect(visits).toBe(3);
});

it('goes where the weights say', async () => {
  addService(client, 'pay', 'empty', 'tcp', []);
  addService(client, 'pay', 'other', 'tcp', [{ port, spiffeId: workloadUri('pay', 'db') }]);
  addTraffic(client, 'pay', ['db'], { backendRefs: [{ name: 'db', weight: 0 }, { name: 'other', weight: 1 }] });
  await mesh.configure('a', client);
  (await connect())?.destroy();
  expect(countOf(await mesh.flows('a'), (flow) => flow.destination.service === 'other' && flow.verdict === 'allowed')).toBe(1);
  addTraffic(client, 'pay', ['db'], { backendRefs: [{ name: 'empty' }] });
  await mesh.configure('a', client);
  expect(await raw(net.connect(mesh.socketPath('db')), 'ping')).toBe('');
  expect(countOf(await mesh.flows('a'), (flow) => flow.destination.service === 'empty' && flow.reason === 'upstream-unreachable')).toBe(1);
});
