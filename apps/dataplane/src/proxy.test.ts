import http from 'node:http';
import { readFileSync, statSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, TestMesh, until } from '../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let client: Entries;
let server: Entries;
let seen: http.IncomingMessage[];

/** `web` behind proxy a calls `api` behind proxy b. */
async function startPair(listener?: http.RequestListener): Promise<void> {
  seen = [];
  port = await freePort();
  const app = await mesh.app((req, res) => {
    seen.push(req);
    if (listener) listener(req, res);
    else res.end(`hello from ${req.url ?? ''}`);
  });
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
}

const get = (path: string, headers: http.OutgoingHttpHeaders = {}) => call({ socketPath: mesh.socketPath('web'), path, headers: { host: 'api.pay', ...headers } });

beforeEach(async () => {
  mesh = await TestMesh.start();
});
afterEach(() => mesh.close());

describe('two proxies', () => {
  it('carry a request over mutual TLS with the caller’s identity, and both count it', async () => {
    await startPair();
    const answer = await get('/orders/17?x=1', { 'x-forwarded-client-cert': 'URI=spiffe://mesh.test/ns/admin/sa/root', 'x-sallyport-forged': '1' });
    expect(answer).toMatchObject({ status: 200, body: 'hello from /orders/17?x=1' });
    expect(seen[0]?.headers['x-forwarded-client-cert']).toBe(`By=${workloadUri('pay', 'api')};URI=${workloadUri('shop', 'web')}`);
    expect(seen[0]?.headers).not.toHaveProperty('x-sallyport-forged');
    expect(seen[0]?.headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/);
    const inbound = (await mesh.flows('b')).find((flow) => flow.count > 0);
    expect(inbound).toMatchObject({
      reporter: 'b', side: 'inbound', source: { principal: workloadUri('shop', 'web'), ip: '127.0.0.1' },
      destination: { namespace: 'pay', workload: 'api', service: 'api', port },
      protocol: 'http', method: 'GET', path: '/orders/{id}', samplePath: '/orders/17', mtls: 'mutual', verdict: 'allowed', reason: null, policy: null, count: 1,
    });
    const outbound = (await mesh.flows('a')).find((flow) => flow.count > 0);
    expect(outbound).toMatchObject({
      reporter: 'a', side: 'outbound', source: { principal: workloadUri('shop', 'web') },
      destination: { namespace: 'pay', workload: 'api', service: 'api', port }, mtls: 'mutual', verdict: 'allowed', count: 1,
    });
  });

  it('deny by policy with 403, a deny event and the deciding policy, and recover when it is lifted', async () => {
    await startPair();
    addPolicy(server, 'pay', 'readers', { action: 'ALLOW', rules: [{ from: [{ source: { principals: ['mesh.test/ns/shop/sa/web'] } }], to: [{ operation: { methods: ['GET'], paths: ['/open*'] } }] }] });
    await mesh.configure('b', server);
    expect((await get('/open/x')).status).toBe(200);
    const denied = await get('/secret/1', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
    expect(denied).toMatchObject({ status: 403, body: 'sallyport: access denied\n' });
    expect(denied.headers['x-sallyport-reason']).toBe('policy-no-allow');
    expect(seen.map((req) => req.url)).toEqual(['/open/x']);
    const flows = await mesh.flows('b');
    expect(flows.find((flow) => flow.verdict === 'denied')).toMatchObject({ policy: 'pay/readers', reason: 'policy-no-allow', samplePath: '/secret/1', count: 1, mtls: 'mutual' });
    const deny = mesh.operator.reports.flatMap((report) => report.denies);
    expect(deny).toMatchObject([{ reporter: 'b', source: { principal: workloadUri('shop', 'web') }, destination: { workload: 'api', port }, method: 'GET', path: '/secret/1', policy: 'pay/readers', traceId: 'a'.repeat(32) }]);
    expect(countOf(await mesh.flows('a'), (flow) => flow.verdict === 'denied' && flow.reason === 'policy-no-allow')).toBe(1);
    expect(mesh.logs.filter((line) => line['msg'] === 'denied')).toMatchObject([{ principal: workloadUri('shop', 'web'), policy: 'pay/readers', path: '/secret/1', traceId: 'a'.repeat(32) }]);
    server.delete('authz/pay/readers');
    await mesh.configure('b', server);
    expect((await get('/secret/1')).status).toBe(200);
  });

  it('say what is wrong with unknown destinations, missing applications and the wrong identity', async () => {
    await startPair();
    expect(await call({ socketPath: mesh.socketPath('web'), path: '/', headers: { host: 'nowhere.example.org' } })).toMatchObject({ status: 502, headers: { 'x-sallyport-reason': 'unknown-destination' } });
    addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'other') }]);
    await mesh.configure('a', client);
    expect(await get('/')).toMatchObject({ status: 502, headers: { 'x-sallyport-reason': 'upstream-identity' } });
    addService(client, 'pay', 'api', 'http', [{ port: await freePort(), spiffeId: workloadUri('pay', 'api') }]);
    await mesh.configure('a', client);
    expect(await get('/')).toMatchObject({ status: 503, headers: { 'x-sallyport-reason': 'upstream-unreachable' } });
    addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
    addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app: `unix:${mesh.socketPath('nobody')}` }] }, { port });
    await mesh.configure('a', client);
    await mesh.configure('b', server);
    expect(await get('/')).toMatchObject({ status: 503, headers: { 'x-sallyport-reason': 'upstream-unreachable' } });
    expect(seen).toHaveLength(0);
    const flows = (await mesh.flows('a')).filter((flow) => flow.verdict === 'failed');
    expect(countOf(flows, (flow) => flow.reason === 'upstream-identity' && flow.mtls === 'unknown')).toBe(1);
    expect(countOf(flows, (flow) => flow.reason === 'unknown-destination' && flow.destination.service === null)).toBe(1);
    expect(countOf(flows, (flow) => flow.reason === 'upstream-unreachable')).toBe(2);
    expect(countOf(await mesh.flows('b'), (flow) => flow.verdict === 'failed' && flow.reason === 'upstream-unreachable')).toBe(1);
  });

  it('take another endpoint when one does not answer', async () => {
    await startPair();
    addService(client, 'pay', 'api', 'http', [{ port: await freePort(), spiffeId: workloadUri('pay', 'api') }, { port, spiffeId: workloadUri('pay', 'api') }]);
    await mesh.configure('a', client);
    for (let i = 0; i < 6; i += 1) expect((await get(`/${i}`)).status).toBe(200);
  });

  it('rotate SVIDs under load without losing a request', async () => {
    mesh.operator.lifetime = 4_000;
    mesh.operator.renewShare = 0.25;
    await startPair();
    const end = Date.now() + 5_000;
    let sent = 0;
    const statuses = new Set<number>();
    const serials = new Set<string>();
    const worker = async () => {
      while (Date.now() < end) {
        statuses.add((await get('/load')).status);
        sent += 1;
      }
    };
    await Promise.all([worker(), worker(), worker()]);
    for (const report of mesh.operator.reports) for (const svid of report.svids) if (svid.spiffeId === workloadUri('pay', 'api')) serials.add(svid.serial);
    expect([...statuses]).toEqual([200]);
    expect([...serials].every((serial) => /^[0-9a-f]+$/.test(serial))).toBe(true);
    expect(serials.size).toBeGreaterThan(2);
    expect(countOf(await mesh.flows('b'), (flow) => flow.verdict === 'allowed')).toBe(sent);
  });
});

describe('configuration', () => {
  it('accepts nothing before the first one', async () => {
    const proxy = await mesh.proxy('a');
    await until('the SVID', () => proxy.unready().length === 1);
    expect(proxy.unready()).toEqual(['never configured: nothing is accepted']);
    const ready = await call({ host: '127.0.0.1', port: proxy.adminPort, path: '/readyz' });
    expect(ready).toMatchObject({ status: 503, body: 'never configured: nothing is accepted\n' });
  });

  it('is refused as a whole, naming the entry, and the old one stays', async () => {
    await startPair();
    const before = mesh.operator.acks.length;
    const bad = new Map(server);
    addPolicy(bad, 'pay', 'fine', { action: 'DENY', rules: [{}] });
    const broken = { type: 'authz', value: { ...(bad.get('authz/pay/fine')?.value as object), spec: { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/33'] } }] }], enforcement: 'Enforce' }, metadata: { name: 'bad', namespace: 'pay' } } };
    bad.set('authz/pay/bad', broken as never);
    mesh.operator.configure('b', bad);
    const { ack } = await until('a NACK', () => mesh.operator.acks[before]);
    expect(ack.errors).toHaveLength(1);
    expect(ack.errors[0]).toMatchObject({ name: 'authz/pay/bad', message: expect.stringContaining('CIDR') as string });
    expect((await get('/still')).status).toBe(200);
    await mesh.configure('b', server);
  });

  it('is refused when a hash or the hash of the set is wrong; the latter asks for everything again', async () => {
    await startPair();
    const before = mesh.operator.acks.length;
    const delta = mesh.operator.delta('b', {});
    mesh.operator.sendRaw('b', JSON.stringify({ ...delta, upserts: delta.upserts.map((upsert) => ({ ...upsert, hash: '0'.repeat(64) })) }));
    const first = await until('a NACK', () => mesh.operator.acks[before]?.ack);
    expect(first.errors.map(({ name }) => name)).toEqual(['mesh', 'bundle', 'workload/pay/api']);
    expect(first.resync).toBe(false);
    mesh.operator.sendRaw('b', JSON.stringify({ ...delta, nonce: 'n2', setHash: '0'.repeat(64) }));
    const second = await until('a NACK', () => mesh.operator.acks.find(({ ack }) => ack.nonce === 'n2')?.ack);
    expect(second.resync).toBe(true);
    await until('a new subscription', () => mesh.operator.acks.at(-1)?.ack.errors.length === 0 && mesh.operator.acks.at(-1)?.proxy === 'b');
    expect((await get('/still')).status).toBe(200);
  });

  it('names the address when a listener cannot be bound, and tries again by itself', async () => {
    await startPair();
    const blocker = net.createServer();
    const taken = await freePort();
    await new Promise<void>((resolve) => blocker.listen(taken, '127.0.0.1', resolve));
    const before = mesh.operator.acks.length;
    addWorkload(server, 'pay', 'second', { inbound: [{ port: taken, protocol: 'http', app: 'unix:/nowhere' }] });
    mesh.operator.configure('b', server);
    const { ack } = await until('a NACK', () => mesh.operator.acks[before]);
    expect(ack.errors).toEqual([{ name: 'workload/pay/second', message: `cannot listen on 127.0.0.1:${taken}: the address is in use by another process` }]);
    expect((await get('/still')).status).toBe(200);
    await new Promise((resolve) => blocker.close(resolve));
    await until('an ACK', () => mesh.operator.acks.at(-1)?.ack.errors.length === 0);
  });

  it('survives the operator and a restart without it, and says how old it is', async () => {
    await startPair();
    await mesh.operator.stop();
    expect((await get('/alone')).status).toBe(200);
    await mesh.stopProxy('b');
    const restarted = await mesh.proxy('b');
    // The last good configuration is served; its identity needs the operator, and plaintext is still allowed by PERMISSIVE.
    expect(await call({ host: '127.0.0.1', port, path: '/plain', headers: { host: 'api' } })).toMatchObject({ status: 200 });
    expect(restarted.unready().join()).toContain('no valid SVID');
    await mesh.operator.start();
    await until('b to be ready', () => restarted.unready().length === 0);
    expect((await get('/again')).status).toBe(200);
    expect(mesh.operator.joins.filter((name) => name === 'b')).toHaveLength(1);
    expect(mesh.operator.reattests).toContain('b');
    const metrics = await call({ host: '127.0.0.1', port: restarted.adminPort, path: '/metrics' });
    expect(metrics.body).toMatch(/sallyport_proxy_config_age_seconds \d/);
    expect(metrics.body).toContain('sallyport_proxy_requests_total{side="inbound",source="",namespace="pay",workload="api"');
  });

  it('keeps the machine key and the configuration from others', async () => {
    await startPair();
    const file = (name: string) => join(mesh.directory, 'b', name);
    expect(statSync(join(mesh.directory, 'b')).mode & 0o777).toBe(0o700);
    for (const name of ['machine-key.pem', 'config.json']) expect(statSync(file(name)).mode & 0o777).toBe(0o600);
    expect(statSync(mesh.socketPath('web')).mode & 0o777).toBe(0o600);
    expect(readFileSync(file('config.json'), 'utf8')).not.toContain('PRIVATE KEY');
    expect(JSON.stringify(mesh.logs)).not.toMatch(/PRIVATE KEY|[0-9a-f]{48}/);
  });
});

describe('telemetry', () => {
  it('arrives exactly once although answers are lost and the operator dies, without a gap', async () => {
    await startPair();
    await get('/one');
    mesh.operator.reportMode = 'lose';
    await get('/two');
    await until('a lost answer', () => mesh.operator.reports.some((report) => report.flows.some((flow) => flow.samplePath === '/two')));
    mesh.operator.reportMode = 'busy';
    await get('/three');
    await mesh.operator.stop();
    await get('/four');
    mesh.operator.reportMode = 'accept';
    await mesh.operator.start();
    const flows = await mesh.flows('b');
    for (const path of ['/one', '/two', '/three', '/four']) expect(countOf(flows, (flow) => flow.samplePath === path)).toBe(1);
    const reports = mesh.operator.reports.filter((report) => report.epoch === mesh.operator.reports.at(-1)?.epoch).sort((x, y) => x.seq - y.seq);
    expect(reports.map(({ seq }) => seq)).toEqual(reports.map((_, index) => index + 1));
    expect(reports.every((report) => report.droppedFrom === null)).toBe(true);
    expect(reports.slice(1).map(({ from }) => from)).toEqual(reports.slice(0, -1).map(({ to }) => to));
  });

  it('says from when on coverage is broken after the operator refused a report', async () => {
    await startPair();
    mesh.operator.reportMode = 'refuse';
    await until('a refused report', () => mesh.logs.find((line) => String(line['msg']).startsWith('the operator refuses a report')));
    mesh.operator.reportMode = 'accept';
    const broken = await until('the gap', () => mesh.operator.reports.find((report) => report.droppedFrom !== null));
    expect(broken.droppedFrom).toBeLessThan(broken.from);
  });

  it('has a last report when the proxy stops', async () => {
    await startPair();
    await get('/last');
    await Promise.all([mesh.stopProxy('a'), mesh.stopProxy('b')]);
    const flows = mesh.operator.reports.flatMap((report) => report.flows).filter((flow) => flow.samplePath === '/last');
    expect(flows.map((flow) => flow.side).sort()).toEqual(['inbound', 'outbound']);
  });
});
