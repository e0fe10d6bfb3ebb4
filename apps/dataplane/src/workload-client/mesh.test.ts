import http from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestCa, workloadUri } from '../../test/certificates.ts';
import { FakeAgent, svidMessage, svidsMessage } from '../../test/fake-agent.ts';
import { addWorkload, baseEntries, call, type Entries, TestMesh, until } from '../../test/mesh.ts';
import { SourcedPair } from './pair.fixture.ts';

const WEB = workloadUri('shop', 'web');
const API = workloadUri('pay', 'api');
const uid = process.getuid?.() ?? -1;
let pair: SourcedPair;

beforeEach(async () => {
  pair = await SourcedPair.start();
});
afterEach(() => pair.close());

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
    await pair.configure(socket(), socket());
  }

  it('call each other by mutual TLS, and believe no root of the operator’s', async () => {
    await startAll();
    expect(await pair.get('/hello')).toMatchObject({ status: 200, body: expect.stringContaining('/hello') as string });
    expect(await pair.callers()).toEqual([WEB]);
    expect(await pair.knock(issuer.operator.ca.leaf(WEB))).toBe('HTTP/1.1 200');
    expect(await pair.knock(pair.mesh.operator.ca.leaf(WEB))).toMatch(/certificate chain/);
  });

  it('follow each rotation while a call goes on, and lose nothing when the API is away for a time', async () => {
    issuer.operator.renewShare = 0.001;
    await startAll();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const statuses = new Set<number>();
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) statuses.add((await call({ socketPath: pair.mesh.socketPath('out'), headers: { host: 'api.pay' }, agent })).status);
    })();
    await until('three SVIDs on both sides', () => pair.installed(WEB) >= 3 && pair.installed(API) >= 3);
    await issuer.stopProxy('agent');
    await until('the loss', async () => (await pair.mesh.metric('a', 'sallyport_proxy_workload_api_up')) === 0);
    expect((await pair.get()).status).toBe(200);
    const before = [pair.installed(WEB), pair.installed(API)] as const;
    await issuer.proxy('agent');
    await until('rotation to go on', () => pair.installed(WEB) > before[0] && pair.installed(API) > before[1]);
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
    agent = new FakeAgent(pair.mesh.socketPath('agent'), message(spire, [spire]));
    await agent.start();
    await pair.configure(agent.path, agent.path);
  });
  afterEach(() => agent.stop());

  it('are followed through a change of root', async () => {
    expect((await pair.get()).status).toBe(200);
    agent.say(message(next, [spire, next]));
    await until('the next SVIDs', () => pair.installed(WEB) === 2 && pair.installed(API) === 2);
    expect([(await pair.get()).status, await pair.knock(spire.leaf(WEB))]).toEqual([200, 'HTTP/1.1 200']);
    agent.say(message(next, [next]));
    await until('the last SVIDs', () => pair.installed(WEB) === 3 && pair.installed(API) === 3);
    expect([(await pair.get()).status, await pair.knock(next.leaf(WEB))]).toEqual([200, 'HTTP/1.1 200']);
    expect(await pair.knock(spire.leaf(WEB))).toMatch(/certificate chain/);
  });

  it('each vouch for their own trust domain, and no longer than they are given', async () => {
    expect(await pair.knock(partner.leaf(guest))).toMatch(/certificate chain/);
    agent.say(message(spire, [spire], { 'partner.test': partner.root }));
    await until('the SVIDs', () => pair.installed(API) === 2);
    expect(await pair.knock(partner.leaf(guest))).toBe('HTTP/1.1 200');
    expect(await pair.knock(partner.leaf(WEB))).toMatch(/may not vouch for this name/);
    expect(await pair.knock(spire.leaf(guest))).toMatch(/may not vouch for this name/);
    // A bundle that cannot be read is as good as none.
    agent.say(message(spire, [spire], { 'partner.test': partner.leaf(guest).cert, 'spiffe.test/path': partner.root }));
    await until('the SVIDs', () => pair.installed(API) === 3);
    expect(pair.mesh.logs.filter(({ msg }) => String(msg).startsWith('Workload API: bundle refused')).map((line) => line['trustDomain'])).toEqual(expect.arrayContaining(['spiffe://partner.test', 'spiffe://spiffe.test/path']));
    expect(await pair.knock(partner.leaf(guest))).toMatch(/certificate chain/);
  });

  it('give way to the operator’s, and back, when the Mesh says so', async () => {
    await pair.issuer('operator');
    await until('the operator’s SVIDs', () => pair.installed(WEB) === 2 && pair.installed(API) === 2);
    expect([(await pair.get()).status, await pair.knock(pair.mesh.operator.ca.leaf(WEB))]).toEqual([200, 'HTTP/1.1 200']);
    expect(await pair.knock(spire.leaf(WEB))).toMatch(/certificate chain/);
    await pair.issuer('spire');
    await until('the others’ SVIDs', () => pair.installed(WEB) === 3 && pair.installed(API) === 3);
    expect((await pair.get()).status).toBe(200);
    expect(await pair.knock(pair.mesh.operator.ca.leaf(WEB))).toMatch(/certificate chain/);
  });
});
