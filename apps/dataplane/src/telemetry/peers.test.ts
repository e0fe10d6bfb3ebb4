import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, call, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';
import { Collector, lintMetrics, type ReceivedSpan, telemetryCheck } from '../../test/telemetry-check.ts';
import { BUILD_MS } from '../../../../tools/go-program.ts';

/** What the proxies tell, as the programs understand it that people have. */
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
let binary: string | null = null;
let mesh: TestMesh;
let seen: IncomingHttpHeaders[];
let port: number;

beforeAll(async () => {
  binary = await telemetryCheck();
}, BUILD_MS + 60_000);
beforeEach(async () => {
  mesh = await TestMesh.start();
  seen = [];
});
afterEach(() => mesh.close());

async function startPair(): Promise<{ a: number; b: number }> {
  port = await freePort();
  const app = await mesh.app((req, res) => {
    seen.push(req.headers);
    res.statusCode = Number(/^\/status\/(\d+)/.exec(req.url ?? '')?.[1] ?? 200);
    res.end('app');
  });
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  const server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
  addPolicy(server, 'pay', 'no', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/never'] } }] }] });
  const [a, b] = await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
  return { a: a.adminPort, b: b.adminPort };
}
/** A service of bytes that gives back what it gets. */
async function startTcp(): Promise<{ readonly server: Entries }> {
  port = await freePort();
  const app = await mesh.tcpApp((socket) => void socket.pipe(socket));
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'tcp', listen: `unix:${mesh.socketPath('db')}`, service: 'db', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'db', 'tcp', [{ port, spiffeId: workloadUri('pay', 'db') }]);
  const server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'db', { inbound: [{ port, protocol: 'tcp', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
  return { server };
}

const get = (path: string, headers: Record<string, string> = {}) => call({ socketPath: mesh.socketPath('web'), path, headers: { host: 'api.pay', ...headers } });
const metrics = async (admin: number) => (await call({ host: '127.0.0.1', port: admin, path: '/metrics' })).body;
const sample = (text: string, name: string, labels: Record<string, string>) => {
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && Object.entries(labels).every(([key, value]) => each.includes(`${key}="${value}"`)));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ')));
};

describe('Prometheus', () => {
  it('has nothing against the metrics, which tell rate, errors and durations by who, whom and how', async ({ skip }) => {
    mesh.telemetry = { accessLog: join(mesh.directory, 'access.log'), otlp: { endpoint: new URL('http://127.0.0.1:1'), headersFile: null, certificateFile: null } };
    const { a, b } = await startPair();
    for (const path of ['/x', '/x', '/status/404', '/status/503', '/never']) await get(path);
    await call({ host: '127.0.0.1', port, path: '/plain', headers: { host: 'api' } });
    const text = await metrics(b);
    const about = { side: 'inbound', source: workloadUri('shop', 'web'), namespace: 'pay', workload: 'api', service: 'api', port: String(port), protocol: 'http', mtls: 'mutual' };
    const count = (labels: Record<string, string>) => sample(text, 'sallyport_proxy_requests_total', { ...about, ...labels });
    expect(count({ verdict: 'allowed', code_class: '2xx' })).toBe(2);
    expect(count({ verdict: 'allowed', code_class: '4xx' })).toBe(1);
    expect(count({ verdict: 'allowed', code_class: '5xx' })).toBe(1);
    expect(count({ verdict: 'denied', reason: 'policy-deny', code_class: '4xx' })).toBe(1);
    expect(count({ source: '', mtls: 'plaintext', code_class: '2xx' })).toBe(1);
    expect(sample(text, 'sallyport_proxy_request_duration_seconds_count', { ...about, verdict: 'allowed' })).toBe(4);
    expect(sample(text, 'sallyport_proxy_request_duration_seconds_bucket', { ...about, verdict: 'allowed', le: '+Inf' })).toBe(4);
    expect(sample(text, 'sallyport_proxy_request_duration_seconds_sum', { ...about, verdict: 'allowed' })).toBeGreaterThan(0);
    expect(sample(await metrics(a), 'sallyport_proxy_requests_total', { side: 'outbound', source: workloadUri('shop', 'web'), verdict: 'denied', code_class: '4xx' })).toBe(1);
    const documented = readFileSync(join(import.meta.dirname, '../../../../docs/telemetry.md'), 'utf8');
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => `\`${name}\``);
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => !documented.includes(name))).toEqual([]);
    skip(binary === null, 'no checker');
    for (const admin of [a, b]) expect(lintMetrics(binary ?? '', await metrics(admin))).toEqual([]);
    expect(lintMetrics(binary ?? '', '# HELP bad_total x\n# TYPE bad_total gauge\nbad_total 1\n')).not.toEqual([]);
  });
});

describe('OpenTelemetry’s Collector', () => {
  let collector: Collector | null = null;
  beforeAll(async () => {
    collector = binary === null ? null : await Collector.start(binary);
  });
  afterAll(() => collector?.stop());

  const traced = async (count: number, traceId: string): Promise<ReceivedSpan[]> =>
    until(`${count} spans`, () => { const spans = (collector?.spans ?? []).filter((span) => span.traceId === traceId); return spans.length >= count && spans; });
  function listen(sampled: number): void {
    const headersFile = join(mesh.directory, 'headers');
    writeFileSync(headersFile, 'x-token: secret-of-the-collector\n\nx-other: 1\n');
    mesh.telemetry = { traceSample: sampled, otlp: { endpoint: collector?.endpoint ?? new URL('http://127.0.0.1:1'), headersFile, certificateFile: null } };
  }

  it('gets one chain: application, outbound proxy, inbound proxy, application', async ({ skip }) => {
    skip(collector === null, 'no checker');
    listen(0);
    await startPair();
    const answer = await get('/orders/17?token=private', { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1,other=2' });
    expect(answer.status).toBe(200);
    const spans = await traced(2, TRACE);
    const client = spans.find(({ kind }) => kind === 3);
    const server = spans.find(({ kind }) => kind === 2);
    expect([client?.parentSpanId, server?.parentSpanId]).toEqual([SPAN, client?.spanId]);
    expect(seen[0]).toMatchObject({ traceparent: `00-${TRACE}-${server?.spanId}-01`, tracestate: 'vendor=1,other=2' });
    const common = { 'http.request.method': 'GET', 'url.path': '/orders/17', 'http.response.status_code': '200', 'server.address': 'api.pay', 'server.port': String(port), 'sallyport.source.principal': workloadUri('shop', 'web'), 'sallyport.mtls': 'mutual', 'sallyport.verdict': 'allowed', 'network.peer.address': '127.0.0.1' };
    for (const span of [client, server]) expect(span).toMatchObject({ name: 'GET /orders/{id}', attributes: common, status: {} });
    expect(BigInt(server?.endTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(server?.startTimeUnixNano ?? 0));
    expect(Math.abs(Number(BigInt(server?.startTimeUnixNano ?? 0) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    expect(collector?.resources).toContainEqual({ 'service.name': 'sallyport-proxy', 'service.instance.id': 'b', 'sallyport.role': 'node', 'sallyport.trust_domain': 'mesh.test' });
    expect(new Set(collector?.tokens)).toEqual(new Set(['secret-of-the-collector']));
    expect(JSON.stringify([collector?.spans, mesh.logs])).not.toMatch(/private|secret-of/);
  });

  it('gets a denial as an error of the caller, with the policy and the reason', async ({ skip }) => {
    skip(collector === null, 'no checker');
    listen(1);
    await startPair();
    expect((await get('/never', { tracestate: 'lost=1' })).status).toBe(403);
    const denied = (kind: number) => until('the denial', () => collector?.spans.find((span) => span.kind === kind && span.attributes['url.path'] === '/never'));
    const [client, server] = [await denied(3), await denied(2)];
    expect(server).toMatchObject({ traceId: client.traceId, parentSpanId: client.spanId, status: {}, attributes: { 'http.response.status_code': '403', 'error.type': 'policy-deny', 'sallyport.policy': 'pay/no', 'sallyport.verdict': 'denied' } });
    expect(client).toMatchObject({ status: { code: 2 }, attributes: { 'sallyport.verdict': 'denied', 'sallyport.reason': 'policy-deny' } });
    expect(client.parentSpanId ?? '').toBe('');
    await get('/fine', { tracestate: 'lost=1' });
    expect(seen.at(-1)).not.toHaveProperty('tracestate');
  });

  it('gets one span of a connection of TCP on each side, with its bytes and its verdict', async ({ skip }) => {
    skip(collector === null, 'no checker');
    listen(1);
    const { server } = await startTcp();
    const side = (kind: number, verdict: string) => until(`a span of kind ${kind}, ${verdict}`, () => collector?.spans.find((span) => span.kind === kind && span.name === 'TCP' && span.attributes['sallyport.verdict'] === verdict));
    const open = net.connect(mesh.socketPath('db'));
    open.on('error', () => undefined);
    open.end('hello');
    expect(await text(open)).toBe('hello');
    const about = { 'server.address': 'db.pay', 'server.port': String(port), 'network.transport': 'tcp', 'network.peer.address': '127.0.0.1', 'sallyport.source.principal': workloadUri('shop', 'web'), 'sallyport.mtls': 'mutual', 'sallyport.bytes.received': '5', 'sallyport.bytes.sent': '5' };
    const [client, called] = [await side(3, 'allowed'), await side(2, 'allowed')];
    for (const span of [client, called]) expect(span).toMatchObject({ status: {}, attributes: about });
    const broken = net.connect(mesh.socketPath('db'));
    broken.on('error', () => undefined).write('hello');
    await new Promise((resolve) => broken.once('data', resolve));
    addPolicy(server, 'pay', 'none', { action: 'DENY', rules: [{}] });
    await mesh.configure('b', server);
    expect(await side(2, 'denied')).toMatchObject({ status: { code: 2 }, attributes: { 'sallyport.bytes.received': '5' } });
    const refused = net.connect(mesh.socketPath('db'));
    refused.on('error', () => undefined).write('hello');
    const denials = () => collector?.spans.filter(({ attributes }) => attributes['sallyport.verdict'] === 'denied' && attributes['network.transport'] === 'tcp') ?? [];
    await until('the refusal', () => denials().length === 2);
    expect(denials()[1]).toMatchObject({ status: { code: 2, message: 'policy-deny' }, attributes: { 'sallyport.policy': 'pay/none', 'sallyport.bytes.received': '0' } });
    // Of those that the proxies told, none came twice.
    expect(collector?.spans.filter(({ name, kind }) => name === 'TCP' && kind === 2)).toHaveLength(3);
  });
});

it('drops spans that nobody takes, says how many, and serves on', async () => {
  const refusing = createServer((_req, res) => res.writeHead(400).end('{"secret":"no"}'));
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  mesh.telemetry = { traceSample: 1, otlp: { endpoint: new URL(`http://127.0.0.1:${(refusing.address() as AddressInfo).port}`), headersFile: null, certificateFile: null } };
  const { a } = await startPair();
  for (let i = 0; i < 5; i += 1) expect((await get('/x')).status).toBe(200);
  await until('the count of what was dropped', async () => sample(await metrics(a), 'sallyport_proxy_spans_dropped_total', { reason: 'refused' }) === 5);
  expect(await metrics(a)).toContain('sallyport_proxy_spans_exported_total 0\n');
  refusing.close();
  refusing.closeAllConnections();
});
