import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let client: Entries;
let server: Entries;

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  // Answers only after the peer has ended its side: proves that half-close travels.
  const app = await mesh.tcpApp((socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunk.toString() === 'ping') socket.write('pong');
    });
    socket.on('end', () => socket.end(`got ${Buffer.concat(chunks).length}`));
  });
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'tcp', listen: `unix:${mesh.socketPath('db')}`, service: 'db', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'db', 'tcp', [{ port: await freePort(), spiffeId: workloadUri('pay', 'db') }, { port, spiffeId: workloadUri('pay', 'db') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'db', { inbound: [{ port, protocol: 'tcp', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
});
afterEach(() => mesh.close());

it('joins a connection over mutual TLS, by the endpoint that answers, with half-close and exact counts', async () => {
  const socket = net.connect({ path: mesh.socketPath('db'), allowHalfOpen: true });
  const answer = raw(socket, Buffer.alloc(300_000, 1));
  socket.end();
  socket.once('end', () => socket.destroy());
  expect(await answer).toBe('got 300000');
  for (const name of ['a', 'b']) {
    const flows = (await mesh.flows(name)).filter((flow) => flow.protocol === 'tcp');
    expect(countOf(flows, (flow) => flow.mtls === 'mutual' && flow.verdict === 'allowed')).toBe(1);
    expect(flows.reduce((sum, flow) => sum + flow.bytesReceived, 0)).toBe(300_000);
    expect(flows.reduce((sum, flow) => sum + flow.bytesSent, 0)).toBe(10);
    expect(flows[0]?.source.principal).toBe(workloadUri('shop', 'web'));
  }
});

it('reports bytes of a connection while it is open, and breaks it when policy changes', async () => {
  const socket = net.connect(mesh.socketPath('db'));
  socket.on('error', () => undefined);
  socket.write('ping');
  await new Promise((resolve) => socket.once('data', resolve));
  const open = await mesh.flows('b');
  expect(countOf(open, () => true)).toBe(1);
  expect(open.reduce((sum, flow) => sum + flow.bytesSent, 0)).toBe(4);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  addPolicy(server, 'pay', 'none', { action: 'ALLOW', rules: [] });
  await mesh.configure('b', server);
  await closed;
  expect(countOf(await mesh.flows('b'), (flow) => flow.verdict === 'denied' && flow.policy === 'pay/none')).toBe(1);
  expect(await raw(net.connect(mesh.socketPath('db')), 'ping')).toBe('');
  await until('the second denial', async () => countOf(await mesh.flows('b'), (flow) => flow.verdict === 'denied') === 2);
});

it('counts a service that nobody serves as failed', async () => {
  addService(client, 'pay', 'db', 'tcp', []);
  await mesh.configure('a', client);
  expect(await raw(net.connect(mesh.socketPath('db')), 'x')).toBe('');
  expect(countOf(await mesh.flows('a'), (flow) => flow.verdict === 'failed' && flow.reason === 'upstream-unreachable')).toBe(1);
});
