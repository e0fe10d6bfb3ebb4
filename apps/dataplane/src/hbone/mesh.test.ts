import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPeerMode, addPolicy, addService, addWorkload, baseEntries, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';

const DB = '127.0.0.21';
const id = workloadUri('pay', 'db');

let mesh: TestMesh;
let port: number;
let hbone: number;
let app: string;
let client: Entries;
let server: Entries;
/** Bytes that the application got, and those that it answers with after its peer ended. */
let received: Buffer[];
let answer: Buffer;

beforeEach(async () => {
  mesh = await TestMesh.start();
  [port, hbone] = [await freePort(), await freePort()];
  received = [];
  answer = Buffer.from('done');
  // Answers only after the peer has ended its side: proves that half-close travels.
  app = await mesh.tcpApp((socket) => {
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      if (chunk.toString() === 'ping') socket.write('pong');
    });
    socket.on('end', () => socket.end(answer));
  });
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'tcp', listen: `unix:${mesh.socketPath('db')}`, service: 'db', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'db', 'tcp', [{ port, spiffeId: id, address: DB, hbone }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'db', { address: DB, hbonePort: hbone, inbound: [{ port, protocol: 'tcp', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
});
afterEach(() => mesh.close());

/** Opens a connection of the workload, and waits until it goes by HBONE. */
async function connected(): Promise<net.Socket> {
  return until('a connection by HBONE', async () => {
    const socket = net.connect({ path: mesh.socketPath('db'), allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.write('ping');
    await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
    if ((await mesh.metric('b', 'sallyport_proxy_hbone_streams{side="inbound"}')) > 0) return socket;
    socket.destroy();
    return null;
  });
}

it('carries bytes both ways with half-close, and counts them exactly', async () => {
  (await connected()).destroy();
  await until('no stream', async () => (await mesh.metric('b', 'sallyport_proxy_hbone_streams{side="inbound"}')) === 0);
  received = [];
  answer = randomBytes(700_001);
  const sent = randomBytes(1_000_003);
  const socket = net.connect({ path: mesh.socketPath('db'), allowHalfOpen: true });
  const back: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => back.push(chunk));
  socket.end(sent);
  await new Promise((resolve) => socket.once('end', resolve));
  expect(digest(received)).toBe(digest([sent]));
  expect(digest(back)).toBe(digest([answer]));
  for (const name of ['a', 'b']) {
    const flows = (await mesh.flows(name)).filter((flow) => flow.protocol === 'tcp' && flow.mtls === 'mutual' && flow.verdict === 'allowed');
    const pings = countOf(flows, () => true) - 1;
    expect(flows.reduce((sum, flow) => sum + flow.bytesReceived, 0)).toBe(1_000_003 + 4 * pings);
    expect(flows.reduce((sum, flow) => sum + flow.bytesSent, 0)).toBeGreaterThanOrEqual(700_001 + 4 * pings);
    expect(flows[0]?.source.principal).toBe(workloadUri('shop', 'web'));
  }
  expect(await mesh.metric('a', 'sallyport_proxy_hbone_connections{side="outbound"}')).toBe(1);
});

function digest(chunks: readonly Buffer[]): string {
  return createHash('sha256').update(Buffer.concat(chunks)).digest('hex');
}

it('denies by policy, and breaks what is open when the policy changes', async () => {
  const socket = await connected();
  const closed = new Promise((resolve) => socket.once('close', resolve).once('end', resolve));
  addPolicy(server, 'pay', 'none', { action: 'ALLOW', rules: [] });
  await mesh.configure('b', server);
  await closed;
  socket.destroy();
  await until('the denial', async () => countOf(await mesh.flows('b'), (flow) => flow.verdict === 'denied' && flow.policy === 'pay/none') === 1);
  expect(await raw(net.connect(mesh.socketPath('db')), 'ping')).toBe('');
});

it('takes calls to a STRICT port, and none to one that takes plaintext only', async () => {
  addPeerMode(server, 'pay', 'STRICT');
  await mesh.configure('b', server);
  (await connected()).destroy();
  const verified = async () => countOf(await mesh.flows('b'), ({ verdict, mtls }) => verdict === 'allowed' && mtls === 'mutual');
  const before = await verified();
  addPeerMode(server, 'pay', 'DISABLE');
  await mesh.configure('b', server);
  const socket = net.connect(mesh.socketPath('db')).on('error', () => undefined);
  await until('the log', () => mesh.logs.some(({ reason }) => reason === 'the proxy answers 403'));
  socket.destroy();
  expect(await verified()).toBe(before);
});

it('goes by mutual TLS on the port when nobody answers there, and when the wrong identity does', async () => {
  addService(client, 'pay', 'db', 'tcp', [{ port, spiffeId: id, address: DB, hbone: await freePort() }]);
  await mesh.configure('a', client);
  expect(await ping()).toBe('pong');
  await until('the log', () => mesh.logs.some(({ msg, reason }) => String(msg).startsWith('no HBONE connection') && String(reason).includes('ECONNREFUSED')));
  // Another workload has taken the port of HBONE at the same address.
  addWorkload(server, 'pay', 'db', { address: DB, hbonePort: 0, inbound: [{ port, protocol: 'tcp', app }] }, { port });
  addWorkload(server, 'pay', 'other', { address: DB, hbonePort: hbone, inbound: [{ port: await freePort(), protocol: 'tcp', app }] });
  await mesh.configure('b', server);
  addService(client, 'pay', 'db', 'tcp', [{ port, spiffeId: id, address: DB, hbone }]);
  await mesh.configure('a', client);
  expect(await ping()).toBe('pong');
  await until('the log', () => mesh.logs.some(({ msg, reason }) => String(msg).startsWith('no HBONE connection') && String(reason).includes(`expected ${id}`)));
  const flows = await mesh.flows('b');
  expect(countOf(flows, (flow) => flow.mtls !== 'mutual')).toBe(0);
});

async function ping(): Promise<string> {
  const socket = net.connect(mesh.socketPath('db'));
  const text = await new Promise<string>((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString())).once('close', () => resolve('')).once('error', () => undefined);
    socket.write('ping');
  });
  socket.destroy();
  return text;
}

it('says so once and serves without, where the port of HBONE is taken', async () => {
  const taken = net.createServer().listen(await freePort(), DB);
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port: at } = taken.address() as net.AddressInfo;
  addWorkload(server, 'pay', 'db', { address: DB, hbonePort: at, inbound: [{ port, protocol: 'tcp', app }] }, { port });
  await mesh.configure('b', server);
  await mesh.configure('b', addPolicyFor(server));
  const warnings = mesh.logs.filter(({ msg, address }) => String(msg).startsWith('no HBONE here') && address === `${DB}:${at}`);
  expect(warnings).toMatchObject([{ level: 40, reason: expect.stringContaining('in use') as string, remedy: expect.stringContaining('hbonePort') as string }]);
  expect(await ping()).toBe('pong');
  await new Promise((resolve) => taken.close(resolve));
});

function addPolicyFor(entries: Entries): Entries {
  addPolicy(entries, 'pay', 'all', { action: 'ALLOW', rules: [{}] });
  return entries;
}
