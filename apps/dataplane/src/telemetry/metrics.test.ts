import { pino } from 'pino';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, it } from 'vitest';
import { call } from '../../test/mesh.ts';
import { testMetrics, testRecorder } from '../../test/recorder.ts';
import { startAdmin } from './admin.ts';
import { Exposition } from './exposition.ts';
import { RedMetrics } from './red.ts';
import type { FlowFacts } from './series.ts';

const log = pino({ level: 'silent' });
const facts = (changes: Partial<FlowFacts> = {}): FlowFacts => ({
  side: 'inbound', source: { principal: 'spiffe://t/ns/shop/sa/web', ip: '10.0.0.1' }, destination: { namespace: 'pay', workload: 'api', service: 'api', port: 80 },
  protocol: 'http', method: 'GET', path: '/', mtls: 'mutual', verdict: 'allowed', reason: null, policy: null, ...changes,
});
const text = (red: RedMetrics) => {
  const to = new Exposition();
  red.write(to);
  return to.text();
};

it('counts a duration in the bucket that it belongs to, and in all above', () => {
  const red = new RedMetrics();
  const series = red.of(facts());
  for (const milliseconds of [0.5, 0.6, 30_000, 31_000]) series.observe(milliseconds);
  const buckets = [...text(red).matchAll(/duration_seconds_bucket\{.*le="([^"]+)"\} (\d+)/g)].map(([, le, count]) => `${le}:${count}`);
  expect(buckets).toEqual(['0.0005:1', ...['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10'].map((le) => `${le}:2`), '30:3', '+Inf:4']);
  expect(text(red)).toMatch(/_sum\{[^}]*\} 61\.0011\n/);
  expect(text(red)).toMatch(/_count\{[^}]*\} 4\n/);
});

it('bounds its label sets: calls beyond fall together by how they went, none is missing, and it says so', () => {
  const red = new RedMetrics(10);
  for (let i = 0; i < 200; i += 1) red.of(facts({ source: { principal: `spiffe://t/${i}`, ip: '10.0.0.1' }, ...(i % 2 ? { verdict: 'denied' as const, reason: 'policy-deny' as const } : {}) })).count(1, i % 2 ? 403 : 200);
  const lines = text(red).split('\n').filter((line) => line.startsWith('sallyport_proxy_requests_total{'));
  expect(lines).toHaveLength(12);
  expect(lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)).toBe(200);
  const other = lines.filter((line) => line.includes('source="{other}",namespace="{other}",workload="{other}",service="{other}",port="0"'));
  expect(other.map((line) => /verdict="(\w+)",reason="",code_class="(\w+)"\} (\d+)/.exec(line)?.slice(1))).toEqual([['allowed', '2xx', '95'], ['denied', '4xx', '95']]);
  expect(text(red)).toContain('\nsallyport_proxy_metric_series 10\n');
  expect(text(red)).toContain('\nsallyport_proxy_metric_overflow_total 190\n');
});

it('escapes what a label may hold', () => {
  const red = new RedMetrics();
  red.of(facts({ source: { principal: 'a"b\\c\nd', ip: '' } })).count(1, 0);
  expect(text(red)).toContain('source="a\\"b\\\\c\\nd"');
  expect(text(red)).toContain('code_class="none"} 1\n');
});

it('observes the life of a TCP connection once, and of a switched request none', () => {
  const metrics = testMetrics();
  const recorder = testRecorder(log, { metrics });
  const amounts = { count: 1, bytesReceived: 0, bytesSent: 0 };
  recorder.record({ facts: facts({ protocol: 'tcp' }), amounts });
  recorder.ended({ facts: facts({ protocol: 'tcp' }), startedAt: performance.now(), bytesReceived: 1, bytesSent: 2 });
  recorder.record({ facts: facts(), amounts, startedAt: performance.now(), status: 101 });
  recorder.ended({ facts: facts(), startedAt: performance.now(), bytesReceived: 1, bytesSent: 2 });
  recorder.moved(facts(), 5, 7);
  const { text: all } = metrics.render();
  for (const protocol of ['tcp', 'http']) expect(all).toMatch(new RegExp(`duration_seconds_count\\{.*protocol="${protocol}".*\\} 1\n`));
  expect(all).toMatch(/requests_total\{.*protocol="http".*code_class="1xx"\} 1\n/);
  expect(all).toContain('sallyport_proxy_received_bytes_total{side="inbound"} 5\n');
  expect(all).toContain('sallyport_proxy_sent_bytes_total{side="inbound"} 7\n');
});

it('is shown on loopback alone, and under no other name', async () => {
  const admin = await startAdmin(0, { unready: () => [], metrics: testMetrics(), config: () => null });
  const at = (host: string) => call({ host: '127.0.0.1', port: admin.port, path: '/metrics', headers: { host } });
  expect(await at('localhost')).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } });
  expect((await at('evil.example')).status).toBe(421);
  const others = Object.values(networkInterfaces()).flatMap((list) => list ?? []).filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address } of [...others, { address: '127.0.0.2' }]) {
    const outcome = await new Promise((resolve) => net.connect(admin.port, address, () => resolve('open')).on('error', ({ message }) => resolve(message)));
    expect(outcome).toContain('ECONNREFUSED');
  }
  admin.close();
});
