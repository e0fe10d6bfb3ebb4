import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../test/mesh.ts';
import type { OtlpConfig } from '../config.ts';
import { Clock } from './clock.ts';
import { Exposition } from './exposition.ts';
import type { FlowFacts } from './series.ts';
import { SpanExporter } from './span-exporter.ts';
import { Tracer } from './trace.ts';

interface Batch {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly { readonly spanId: string; readonly name: string; readonly attributes: readonly { readonly key: string; readonly value: object }[] }[] }[] }[];
}

let directory: string;
let servers: Server[];
let bodies: string[];
let exporter: SpanExporter | null;
/** Answers of the endpoint in turn: status and body; then 200. */
let answers: [number, string, Record<string, string>?][];
const logs: string[] = [];
const log = pino({}, { write: (line: string) => void logs.push(line) });
const tracer = new Tracer(1);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spans-'));
  [servers, bodies, answers, exporter] = [[], [], [], null];
  logs.length = 0;
});
afterEach(async () => {
  await exporter?.stop(1_000);
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  bodies.push(await text(req));
  const [status, body, headers] = answers.shift() ?? [200, '{}'];
  res.writeHead(status, headers).end(body);
}
const listener: RequestListener = (req, res) => void answer(req, res);
async function endpoint(server: http.Server = http.createServer(listener)): Promise<URL> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`${server instanceof https.Server ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`);
}
function start(config: Partial<OtlpConfig> & { endpoint: URL }): SpanExporter {
  exporter = new SpanExporter({ headersFile: null, certificateFile: null, ...config }, { 'service.name': 'test' }, new Clock(), log);
  exporter.start();
  return exporter;
}
function add(to: SpanExporter, changes: Partial<FlowFacts> = {}): void {
  const facts: FlowFacts = { side: 'inbound', source: { principal: null, ip: '10.0.0.1' }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 }, protocol: 'http', method: 'GET', path: '/', mtls: 'plaintext', verdict: 'allowed', reason: null, policy: null, ...changes };
  to.add({ trace: tracer.begin(null), facts, shape: facts.path, status: 200, peer: null, bytesReceived: 0, bytesSent: 0, startedAt: performance.now(), endedAt: performance.now() });
}
const spansOf = (body: string) => (JSON.parse(body) as Batch).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
function metric(from: SpanExporter, name: string): number {
  const to = new Exposition();
  from.write(to);
  return Number(new RegExp(`^sallyport_proxy_spans_${name.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm').exec(to.text())?.[1]);
}

it('sends the same batch again while the endpoint is busy, and counts it once', async () => {
  const spans = start({ endpoint: await endpoint() });
  answers = [[503, 'busy', { 'retry-after': '0' }], [429, '']];
  add(spans);
  await until('the third attempt', () => metric(spans, 'exported_total') === 1);
  expect(bodies).toHaveLength(3);
  expect(new Set(bodies).size).toBe(1);
});

it('does not send again what is refused, in whole or in part', async () => {
  const spans = start({ endpoint: await endpoint() });
  answers = [[400, 'no']];
  add(spans);
  await until('the refusal', () => metric(spans, 'dropped_total{reason="refused"}') === 1);
  answers = [[200, '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}']];
  for (let i = 0; i < 3; i += 1) add(spans);
  await until('the part that was taken', () => metric(spans, 'exported_total') === 2);
  expect(metric(spans, 'dropped_total{reason="refused"}')).toBe(2);
  expect(bodies).toHaveLength(2);
});

it('bounds what waits, sends in batches, and delivers what waits at the end', async () => {
  const spans = new SpanExporter({ endpoint: await endpoint(), headersFile: null, certificateFile: null }, {}, new Clock(), log);
  for (let i = 0; i < 3_000; i += 1) add(spans);
  expect(metric(spans, 'dropped_total{reason="queue-full"}')).toBe(3_000 - 2_048);
  await spans.stop(10_000);
  expect(bodies.map((body) => spansOf(body).length)).toEqual([512, 512, 512, 512]);
  expect(metric(spans, 'exported_total')).toBe(2_048);
});

it('gives up what cannot be delivered at the end', async () => {
  const spans = start({ endpoint: new URL('http://127.0.0.1:1') });
  add(spans);
  await spans.stop(10_000);
  expect(metric(spans, 'dropped_total{reason="undelivered"}')).toBe(1);
});

/** A certificate for 127.0.0.1 that is its own root. */
function selfSigned(name: string): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'pipe' });
  return { key, cert };
}

it('trusts an https endpoint by the given roots alone', async () => {
  const [good, bad] = [selfSigned('good'), selfSigned('bad')];
  const url = await endpoint(https.createServer({ key: readFileSync(good.key), cert: readFileSync(good.cert) }, listener));
  const refused = start({ endpoint: url, certificateFile: bad.cert });
  add(refused);
  await refused.stop(10_000);
  expect(metric(refused, 'dropped_total{reason="undelivered"}')).toBe(1);
  expect(bodies).toEqual([]);
  const trusted = start({ endpoint: url, certificateFile: good.cert });
  add(trusted);
  await until('the span', () => metric(trusted, 'exported_total') === 1);
});

it('names the place of a header that is none, and never its value', async () => {
  const headersFile = join(directory, 'headers');
  writeFileSync(headersFile, 'authorization: Bearer sesame\nhush hush\n');
  const spans = start({ endpoint: await endpoint(), headersFile });
  add(spans);
  await spans.stop(10_000);
  expect(logs.join('')).toContain(`${headersFile}, line 2: must be \\"name: value\\"`);
  expect(logs.join('')).not.toMatch(/sesame|hush/);
  expect(bodies).toEqual([]);
});

it('names a span by what is few, whatever callers send', async () => {
  const spans = start({ endpoint: await endpoint() });
  add(spans, { method: 'BREW', path: '{other}' });
  add(spans, { method: 'PUT', path: null });
  const sent = spansOf(await until('the spans', () => bodies[0]));
  expect(sent.map(({ name }) => name)).toEqual(['HTTP', 'PUT']);
  expect(sent[0]?.attributes).toContainEqual({ key: 'http.request.method_original', value: { stringValue: 'BREW' } });
});
