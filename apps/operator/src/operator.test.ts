import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiError, flowsView, type FlowsView, type GraphView, type PreviewView, shadowsView, type ShadowsView, type StrictPlan } from '@sallyport/shared/api';
import { checkPeerLeaf } from '@sallyport/shared/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOperator, type TestOperator } from './testing/operator.ts';
import { WireProxy } from './testing/proxy.ts';

const API = 'sallyport.dev/v1alpha1';
const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: API, kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
const workload = (name: string, proxy: string | null, address: string) =>
  doc('Workload', name, 'shop', { serviceAccount: name, address, ...(proxy ? { proxy } : {}), inbound: [{ port: 80, protocol: 'http', app: `unix:/run/${name}.sock` }] }, { app: name });
const SHOP = [
  doc('Mesh', 'default', null, { trustDomain: 'shop.test', strict: { window: '60s', watch: '2s' } }),
  workload('api', 'node-1', '127.0.0.11'),
  workload('web', 'node-1', '127.0.0.12'),
  doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80 }] }),
  doc('PeerAuthentication', 'default', 'shop', { mtls: { mode: 'PERMISSIVE' } }),
].join('\n---\n');

let operator: TestOperator;
let proxy: WireProxy;
beforeAll(async () => {
  operator = await startOperator();
  proxy = new WireProxy('node-1', operator);
});
afterAll(async () => {
  proxy.close();
  await operator.close();
});

const apply = (manifest: string, more: object = {}) => operator.call('POST', '/apply', { manifest, ...more });
const errorOf = (answer: { body: unknown }) => (answer.body as ApiError).error;

async function until<T>(read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const value = await read();
    if (good(value)) return value;
    await delay(100);
  }
  return read();
}
const plan = async () => (await operator.call('GET', '/namespaces/shop/strict')).body as StrictPlan;

describe('sign-in', () => {
  it('lets nobody read without it', async () => {
    for (const path of ['/overview', '/graph', '/resources/Mesh', '/audit', '/evidence/key', '/events', '/certificates']) {
      expect((await operator.call('GET', path, undefined, { authorization: '' })).status).toBe(401);
    }
  });

  it('needs the CSRF token for a write by cookie, and not for a read', async () => {
    const response = await fetch(`${operator.apiUrl}/api/v1/session`, { method: 'POST', body: JSON.stringify({ username: 'admin', password: operator.password }) });
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/HttpOnly.*SameSite=Strict/i);
    const headers = { authorization: '', cookie: cookie.split(';')[0] ?? '' };
    expect((await operator.call('GET', '/graph', undefined, headers)).status).toBe(200);
    expect((await operator.call('POST', '/apply', { manifest: SHOP, dryRun: true }, headers)).status).toBe(403);
    const { csrfToken } = (await response.json()) as { csrfToken: string };
    expect((await operator.call('POST', '/apply', { manifest: SHOP, dryRun: true }, { ...headers, 'x-csrf-token': csrfToken })).status).toBe(200);
  });

  it('limits failures for a name', async () => {
    const attempt = () => operator.call('POST', '/session', { username: 'guess', password: 'wrong' });
    const statuses = [];
    for (let i = 0; i < 12; i += 1) statuses.push((await attempt()).status);
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(statuses.slice(10)).toEqual([429, 429]);
  });
});

describe('bad input', () => {
  it('is refused with its place, and nothing of it is stored', async () => {
    const bad = doc('AuthorizationPolicy', 'p', 'shop', { rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/99'] } }] }], rulez: 1 });
    const answer = await apply(`${SHOP}\n---\n${bad}`);
    expect(answer.status).toBe(400);
    expect(errorOf(answer).details?.map((item) => item.field)).toEqual(['spec.rules[0].from[0].source.ipBlocks[0]', 'spec']);
    expect(((await operator.call('GET', '/resources/Workload')).body as { items: unknown[] }).items).toEqual([]);
  });

  it('of 10 MB is refused as too large', async () => {
    const answer = await apply('x'.repeat(10 * 1024 * 1024));
    expect([answer.status, errorOf(answer).code]).toEqual([413, 'too-large']);
  });

  it('names unknown kinds, windows and routes', async () => {
    expect(errorOf(await operator.call('GET', '/resources/Pod')).message).toContain('no kind "Pod"');
    expect(errorOf(await operator.call('GET', '/graph?window=1y')).message).toContain('window');
    expect((await operator.call('GET', '/nope')).status).toBe(404);
  });
});

describe('proxies', () => {
  it('join once by token, get an SVID that is right, and prove their machine key later', async () => {
    expect((await apply(SHOP)).status).toBe(200);
    const { token } = (await operator.call('POST', '/proxies/tokens', { proxy: 'node-1', role: 'node' })).body as { token: string };
    expect((await proxy.join(token, 'node-2')).status).toBe(401);
    expect((await proxy.join(token)).status).toBe(200);
    expect((await proxy.join(token)).status).toBe(401);
    const leaf = new X509Certificate(proxy.svid?.chain[0] ?? '');
    expect(checkPeerLeaf(leaf.raw).uri).toBe('spiffe://shop.test/sallyport/proxy/node-1');
    expect(leaf.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(24 * 3_600_000);
    expect((await proxy.reattest()).status).toBe(200);
    expect((await proxy.reattest(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)).status).toBe(401);
  });

  it('get SVIDs for what they serve and for nothing else', async () => {
    const ask = (name: string) => proxy.call('/v1/svid', { workload: { namespace: 'shop', name }, csr: proxy.csr() });
    const answer = await ask('api');
    expect((answer.body as { spiffeId: string }).spiffeId).toBe('spiffe://shop.test/ns/shop/sa/api');
    await apply(workload('outsider', null, '127.0.0.66'));
    expect((await ask('outsider')).status).toBe(403);
    await operator.call('DELETE', '/resources/Workload/shop/outsider');
  });

  it('cannot subscribe or report for another', async () => {
    expect((await proxy.call('/v1/config', { proxy: 'node-2', have: {} })).status).toBe(403);
    expect((await proxy.report([{ reporter: 'node-2' }])).status).toBe(403);
  });

  it('get a snapshot, then deltas; a NACK shows in the conditions and an ACK ends it', async () => {
    proxy.subscribe({ ack: false });
    const first = await proxy.delta(() => true);
    expect(first.upserts.map((entry) => entry.name).sort()).toEqual(['bundle', 'mesh', 'peer/shop/default', 'service/shop/api', 'workload/shop/api', 'workload/shop/web']);
    await proxy.acknowledge(first);
    await apply(doc('AuthorizationPolicy', 'p', 'shop', { selector: { matchLabels: { app: 'api' } }, rules: [{ from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }] }] }));
    const second = await proxy.delta((delta) => delta.upserts.some((entry) => entry.name === 'authz/shop/p'));
    expect(second.upserts).toHaveLength(1);
    const conditions = async () => {
      const { body } = await operator.call('GET', '/resources/AuthorizationPolicy/shop/p');
      const list = (body as { status?: { conditions: { type: string; status: string; reason: string }[] } }).status?.conditions ?? [];
      return Object.fromEntries(list.map((item) => [item.type, `${item.status} ${item.reason}`]));
    };
    expect(await until(conditions, (c) => c['Programmed'] === 'Unknown Pending')).toEqual({ Accepted: 'True Accepted', ResolvedRefs: 'True ResolvedRefs', Programmed: 'Unknown Pending' });
    await proxy.acknowledge(second, [{ name: 'authz/shop/p', message: 'cannot compile' }]);
    expect(await until(conditions, (c) => c['Programmed'] === 'False Refused')).toMatchObject({ Programmed: 'False Refused' });
    await apply(doc('AuthorizationPolicy', 'p', 'shop', { selector: { matchLabels: { app: 'api' } }, rules: [{ from: [{ source: { principals: ['*'] } }] }] }));
    const third = await proxy.delta((delta) => BigInt(delta.version) > BigInt(second.version) && delta.upserts.length > 0);
    await proxy.acknowledge(third);
    expect(await until(conditions, (c) => c['Programmed'] === 'True Programmed')).toMatchObject({ Programmed: 'True Programmed' });
  });
});

describe('telemetry', () => {
  const count = async () => {
    const graph = (await operator.call('GET', '/graph?window=5m')).body as GraphView;
    return graph.edges.find((edge) => edge.target === 'service:shop/api' && edge.source !== 'address:127.0.0.99');
  };

  it('is counted once when it is sent twice, and survives a kill of the operator', async () => {
    await proxy.report([{ count: 7 }], { seq: 100 });
    await proxy.report([{ count: 7 }], { seq: 100 });
    expect((await count())?.requests).toBe(7);
    await operator.restart();
    proxy.close();
    proxy = await reconnect(proxy);
    await proxy.report([{ count: 3 }], { seq: 101 });
    expect(await count()).toMatchObject({ requests: 10, mtls: { mutual: 10, plaintext: 0, unknown: 0 }, state: 'undeclared' });
  });

  it('gives what was recorded, bounded and with its coverage', async () => {
    const flows = (await operator.call('GET', '/flows?window=5m&namespace=shop')).body as FlowsView;
    expect(flowsView.parse(flows).items.map((flow) => [flow.side, flow.destination.workload, flow.count])).toEqual([['inbound', 'api', 10]]);
    expect(flows.coverage.proxiesExpected).toBe(1);
    expect(((await operator.call('GET', '/flows?window=5m&namespace=other')).body as FlowsView).total).toBe(0);
    const shadow = { policy: 'shop/dry', action: 'DENY', rule: 1, namespace: 'shop', workload: 'api', port: 80, count: 3 } as const;
    await proxy.report([], { seq: 102, shadows: [shadow] });
    await proxy.report([], { seq: 103, shadows: [{ ...shadow, count: 4 }, { ...shadow, rule: 0, namespace: 'other' }] });
    const shadows = (await operator.call('GET', '/shadows?window=5m&namespace=shop')).body as ShadowsView;
    expect(shadowsView.parse(shadows).items).toEqual([{ ...shadow, count: 7 }]);
    expect((await operator.call('GET', '/shadows', undefined, { authorization: '' })).status).toBe(401);
    expect((await operator.call('GET', '/flows?limit=20001')).status).toBe(400);
    expect((await operator.call('GET', '/flows', undefined, { authorization: '' })).status).toBe(401);
  });

  it('drives the dry run with the evaluator of the proxies', async () => {
    const manifest = doc('AuthorizationPolicy', 'p', 'shop', { selector: { matchLabels: { app: 'api' } }, rules: [{ to: [{ operation: { methods: ['POST'] } }] }] });
    const preview = (await operator.call('POST', '/policies/preview', { manifest, window: '5m' })).body as PreviewView;
    expect(preview.wouldDeny.map((item) => [item.source.principal, item.method, item.requests])).toEqual([['spiffe://shop.test/ns/shop/sa/web', 'GET', 10]]);
    expect(preview.diff).toContain('+        - operation:');
    expect(preview.diff).not.toContain('-  action');
    const after = (await operator.call('GET', '/resources/AuthorizationPolicy/shop/p')).body as { metadata: { generation: number } };
    expect(after.metadata.generation).toBe(2);
  });
});

/** The same proxy after it lost its connections: same name, joined anew. */
async function reconnect(old: WireProxy): Promise<WireProxy> {
  const fresh = new WireProxy(old.name, operator);
  await fresh.enrol();
  fresh.subscribe({ ack: true });
  await fresh.delta(() => true);
  return fresh;
}

describe('the step to strict', () => {
  let beat: NodeJS.Timeout;
  let extra: Parameters<WireProxy['report']>[0] = [];
  let seq = 1_000;
  beforeAll(() => {
    beat = setInterval(() => {
      seq += 1;
      const now = Date.now();
      const denies = extra
        .filter((flow) => flow.reason === 'plaintext-refused')
        .map(() => ({ at: now, reporter: 'node-1', source: { principal: null, ip: '127.0.0.99' }, destination: { namespace: 'shop', workload: 'web', service: null, port: 80 }, method: null, path: null, policy: null, reason: 'plaintext-refused' as const, traceId: null }));
      void proxy.report([{ count: 1 }, ...extra], { seq, denies });
    }, 400);
  });
  afterAll(() => clearInterval(beat));
  const step = async () => (await plan()).step;

  it('is refused while somebody speaks plaintext, and names who, how often and what to do', async () => {
    extra = [{ source: { principal: null, ip: '127.0.0.99' }, mtls: 'plaintext', count: 2 }];
    const blocked = await until(plan, (value) => value.blockers.some((item) => item.kind === 'plaintext-caller'));
    const blocker = blocked.blockers.find((item) => item.kind === 'plaintext-caller');
    expect(blocker).toMatchObject({ source: { ip: '127.0.0.99', workload: null }, port: 80 });
    expect(blocker?.count).toBeGreaterThan(0);
    const refused = await operator.call('POST', '/namespaces/shop/strict');
    expect([refused.status, errorOf(refused).code]).toEqual([412, 'precondition']);
    extra = [];
  });

  it('goes canary first, then the namespace, and rolls back on a refusal', async () => {
    await apply(doc('Mesh', 'default', null, { trustDomain: 'shop.test', strict: { window: '1s', watch: '4s' } }));
    await until(plan, (value) => value.ready);
    const started = await operator.call('POST', '/namespaces/shop/strict');
    expect(started.status).toBe(200);
    expect((await operator.call('POST', '/namespaces/shop/strict')).status).toBe(412);
    await until(step, (value) => value?.state === 'watching-namespace');
    extra = [{ source: { principal: null, ip: '127.0.0.99' }, mtls: 'plaintext', verdict: 'denied', reason: 'plaintext-refused', count: 1 }];
    const ended = await until(step, (value) => value?.state === 'rolled-back');
    expect(ended).toMatchObject({ state: 'rolled-back', reason: expect.stringContaining('127.0.0.99') as string });
    extra = [];
    expect((await until(plan, (value) => value.mode === 'PERMISSIVE')).mode).toBe('PERMISSIVE');
  });

  it('stops, and forces nothing, when somebody takes the change back by hand', async () => {
    await delay(1_500);
    await until(plan, (value) => value.ready);
    const both = await Promise.all([operator.call('POST', '/namespaces/shop/strict'), operator.call('POST', '/namespaces/shop/strict')]);
    expect(both.filter((answer) => answer.status === 200).length).toBe(1);
    await until(step, (value) => value?.state === 'watching-namespace');
    await apply(doc('PeerAuthentication', 'default', 'shop', { mtls: { mode: 'PERMISSIVE' } }), { force: true });
    expect(await until(step, (value) => value?.state === 'failed' || value?.state === 'succeeded')).toMatchObject({ state: 'failed' });
    expect((await until(plan, (value) => value.mode === 'PERMISSIVE')).mode).toBe('PERMISSIVE');
  });

  it('succeeds when nothing is refused, and can be rolled back by hand', async () => {
    await delay(1_500);
    await until(plan, (value) => value.ready);
    expect((await operator.call('POST', '/namespaces/shop/strict')).status).toBe(200);
    expect((await until(step, (value) => value?.state === 'succeeded'))?.state).toBe('succeeded');
    expect((await plan()).mode).toBe('STRICT');
    await operator.call('POST', '/namespaces/shop/strict/rollback', { reason: 'drill' });
    expect((await until(plan, (value) => value.mode === 'PERMISSIVE')).mode).toBe('PERMISSIVE');
  });
});
