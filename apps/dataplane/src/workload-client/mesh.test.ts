import http from 'node:http';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestCa, workloadUri } from '../../test/certificates.ts';
import { FakeAgent, svidMessage, svidsMessage } from '../../test/fake-agent.ts';
import { addPeerMode, addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, setMesh, TestMesh, until } from '../../test/mesh.ts';

const WEB = workloadUri('shop', 'web');
const API = workloadUri('pay', 'api');
const uid = process.getuid?.() ?? -1;
let mesh: TestMesh;
let web: Entries;
let api: Entries;
let port: number;

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  [web, api] = [baseEntries(mesh.operator.ca.root), baseEntries(mesh.operator.ca.root)];
  addWorkload(web, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('out')}` }] });
  addService(web, 'pay', 'api', 'http', [{ port, spiffeId: API }]);
  const app = await mesh.app((req, res) => res.end(String(req.headers['x-forwarded-client-cert'] ?? '') + req.url));
  addWorkload(api, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
  addPeerMode(api, 'pay', 'STRICT');
});
afterEach(() => mesh.close());

/** Two proxies whose identities come from the sockets of these Workload APIs. */
async function start(forWeb: string, forApi: string): Promise<void> {
  for (const entries of [web, api]) setMesh(entries, { ca: { spire: { workloadApi: '/nowhere/agent.sock' } } });
  mesh.workloadApiSocket = forWeb;
  await mesh.proxy('a');
  mesh.workloadApiSocket = forApi;
  await mesh.proxy('b');
  await Promise.all([mesh.configure('a', web), mesh.configure('b', api)]);
}

const get = (path = '/') => call({ socketPath: mesh.socketPath('out'), path, headers: { host: 'api.pay' } });
const installed = (spiffeId: string) => mesh.logs.filter((line) => line['msg'] === 'SVID installed' && line['spiffeId'] === spiffeId).length;
/** What a client with this leaf meets at the server's port: the reason in the log of its refusal, or that it was taken. */
async function knock(leaf: { key: string; cert: string }): Promise<string> {
  const before = mesh.logs.length;
  const socket = tls.connect({ host: '127.0.0.1', port, ...leaf, rejectUnauthorized: false, servername: '', minVersion: 'TLSv1.3' });
  socket.on('error', () => undefined);
  socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: api.pay\r\n\r\n'));
  const answer = new Promise<string>((resolve) => socket.once('data', (data: Buffer) => resolve(data.toString('latin1').slice(0, 12))));
  const refusal = until('a refusal', () => mesh.logs.slice(before).find(({ proxy, msg }) => proxy === 'b' && msg === 'handshake refused')).then(({ handshake }) => String(handshake));
  refusal.catch(() => undefined);
  const result = await Promise.race([answer, refusal]);
  socket.destroy();
  return result;
}

describe('two proxies whose identities come from the Workload API of a third, which is our own', () => {
  let issuer: TestMesh;
  let served: Entries;
  const socket = () => issuer.config('agent').workloadApi ?? '';

  beforeEach(async () => {
    issuer = await TestMesh.start();
    served = baseEntries(issuer.operator.ca.root);
    addWorkload(served, 'shop', 'web', { workloadApi: { uids: [uid] } });
    addWorkload(served, 'pay', 'api', { workloadApi: { uids: [uid] } });
  });
  afterEach(() => issuer.close());

  async function startAll(): Promise<void> {
    await issuer.proxy('agent');
    await issuer.configure('agent', served);
    await start(socket(), socket());
  }

  it('call each other by mutual TLS, and believe no root of the operator’s', async () => {
    await startAll();
    expect(await get('/hello')).toMatchObject({ status: 200, body: expect.stringContaining('/hello') as string });
    expect(countOf(await mesh.flows('b'), ({ source, verdict }) => source.principal === WEB && verdict === 'allowed')).toBe(1);
    expect(await knock(issuer.operator.ca.leaf(WEB))).toBe('HTTP/1.1 200');
    expect(await knock(mesh.operator.ca.leaf(WEB))).toMatch(/certificate chain/);
  });

  it('follow each rotation while a call goes on, and lose nothing when the API is away for a time', async () => {
    issuer.operator.renewShare = 0.001;
    await startAll();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const statuses = new Set<number>();
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) statuses.add((await call({ socketPath: mesh.socketPath('out'), headers: { host: 'api.pay' }, agent })).status);
    })();
    await until('three SVIDs on both sides', () => installed(WEB) >= 3 && installed(API) >= 3);
    await issuer.stopProxy('agent');
    await until('the loss', async () => (await mesh.metric('a', 'sallyport_proxy_workload_api_up')) === 0);
    expect((await get()).status).toBe(200);
    const before = [installed(WEB), installed(API)] as const;
    await issuer.proxy('agent');
    await until('rotation to go on', () => installed(WEB) > before[0] && installed(API) > before[1]);
    stop.abort();
    await load;
    agent.destroy();
    expect([...statuses]).toEqual([200]);
  });
});

describe('roots and federated bundles of a Workload API', () => {
  const spire = new TestCa('spire');
  const next = new TestCa('next');
  const partner = new TestCa('partner');
  const guest = workloadUri('x', 'guest', 'partner.test');
  let agent: FakeAgent;
  const message = (ca: TestCa, roots: readonly TestCa[], federated = {}) => {
    const all = roots.map(({ root }) => root);
    return svidsMessage([svidMessage(WEB, ca.leaf(WEB), all), svidMessage(API, ca.leaf(API), all)], federated);
  };

  beforeEach(async () => {
    agent = new FakeAgent(mesh.socketPath('agent'), message(spire, [spire]));
    await agent.start();
    await start(agent.path, agent.path);
  });
  afterEach(() => agent.stop());

  it('are followed through a change of root', async () => {
    expect((await get()).status).toBe(200);
    agent.say(message(next, [spire, next]));
    await until('the next SVIDs', () => installed(WEB) === 2 && installed(API) === 2);
    expect([(await get()).status, await knock(spire.leaf(WEB))]).toEqual([200, 'HTTP/1.1 200']);
    agent.say(message(next, [next]));
    await until('the last SVIDs', () => installed(WEB) === 3 && installed(API) === 3);
    expect([(await get()).status, await knock(next.leaf(WEB))]).toEqual([200, 'HTTP/1.1 200']);
    expect(await knock(spire.leaf(WEB))).toMatch(/certificate chain/);
  });

  it('each vouch for their own trust domain, and no longer than they are given', async () => {
    expect(await knock(partner.leaf(guest))).toMatch(/certificate chain/);
    agent.say(message(spire, [spire], { 'partner.test': partner.root }));
    await until('the SVIDs', () => installed(API) === 2);
    expect(await knock(partner.leaf(guest))).toBe('HTTP/1.1 200');
    expect(await knock(partner.leaf(WEB))).toMatch(/may not vouch for this name/);
    expect(await knock(spire.leaf(guest))).toMatch(/may not vouch for this name/);
    // A bundle that cannot be read is as good as none.
    agent.say(message(spire, [spire], { 'partner.test': partner.leaf(guest).cert, 'spiffe.test/path': partner.root }));
    await until('the SVIDs', () => installed(API) === 3);
    expect(mesh.logs.filter(({ msg }) => String(msg).startsWith('Workload API: bundle refused')).map((line) => line['trustDomain'])).toEqual(expect.arrayContaining(['spiffe://partner.test', 'spiffe://spiffe.test/path']));
    expect(await knock(partner.leaf(guest))).toMatch(/certificate chain/);
  });

  it('give way to the operator’s, and back, when the Mesh says so', async () => {
    const ca = (settings: object) => Promise.all(([['a', web], ['b', api]] as const).map(([name, entries]) => {
      setMesh(entries, settings);
      return mesh.configure(name, entries);
    }));
    await ca({});
    await until('the operator’s SVIDs', () => installed(WEB) === 2 && installed(API) === 2);
    expect([(await get()).status, await knock(mesh.operator.ca.leaf(WEB))]).toEqual([200, 'HTTP/1.1 200']);
    expect(await knock(spire.leaf(WEB))).toMatch(/certificate chain/);
    await ca({ ca: { spire: { workloadApi: '/nowhere/agent.sock' } } });
    await until('the others’ SVIDs', () => installed(WEB) === 3 && installed(API) === 3);
    expect((await get()).status).toBe(200);
    expect(await knock(mesh.operator.ca.leaf(WEB))).toMatch(/certificate chain/);
  });
});
