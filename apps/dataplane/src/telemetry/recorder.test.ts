import { expect, it } from 'vitest';
import { pino } from 'pino';
import { testMetrics, testRecorder } from '../../test/recorder.ts';
import { FlowCounter, type FlowFacts } from './flow-counter.ts';

const facts = (changes: Partial<FlowFacts> = {}): FlowFacts => ({
  side: 'inbound', source: { principal: 'spiffe://m/ns/n/sa/a', ip: '10.0.0.1' }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 },
  protocol: 'http', method: 'GET', path: '/a', mtls: 'mutual', verdict: 'allowed', reason: null, policy: null, ...changes,
});
const CHANGES: readonly Partial<FlowFacts>[] = [
  {}, { side: 'outbound' }, { source: { principal: 'spiffe://m/ns/n/sa/b', ip: '10.0.0.1' } }, { source: { principal: 'spiffe://m/ns/n/sa/a', ip: '10.0.0.2' } },
  { destination: { namespace: 'o', workload: 'w', service: null, port: 80 } }, { destination: { namespace: 'n', workload: 'v', service: null, port: 80 } },
  { destination: { namespace: 'n', workload: 'w', service: 's', port: 80 } }, { destination: { namespace: 'n', workload: 'w', service: null, port: 81 } },
  { protocol: 'tcp' }, { method: 'PUT' }, { method: null }, { path: '/b' }, { path: null }, { mtls: 'plaintext' }, { verdict: 'failed' }, { reason: 'upstream-unreachable' }, { policy: 'n/p' },
];

function room(level = 'silent') {
  const lines: string[] = [];
  const counter = new FlowCounter('p', 50_000);
  const metrics = testMetrics();
  const recorder = testRecorder(pino({ level }, { write: (line: string) => void lines.push(line) }), { counter, metrics });
  const call = (what: FlowFacts, bytes = 1) => recorder.record({ facts: what, amounts: { count: 1, bytesReceived: bytes, bytesSent: 2 * bytes } });
  const sumOf = (name: string) => metrics.render().text.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  return { lines, counter, metrics, recorder, call, sumOf };
}

it('keeps every dimension apart, however often and in whatever order the calls come', () => {
  const { counter, call, sumOf } = room();
  for (const rounds of [3, 2]) {
    for (let round = 0; round < rounds; round += 1) for (const change of round % 2 === 0 ? CHANGES : CHANGES.toReversed()) call(facts(change));
    const { flows } = counter.drain();
    expect(flows.map(({ count, bytesReceived, bytesSent }) => [count, bytesReceived, bytesSent])).toEqual(CHANGES.map(() => [rounds, rounds, 2 * rounds]));
    expect(new Set(flows.map((flow) => JSON.stringify({ ...flow, firstSeen: 0, lastSeen: 0 }))).size).toBe(CHANGES.length);
  }
  expect(sumOf('sallyport_proxy_requests_total')).toBe(5 * CHANGES.length);
  expect(sumOf('sallyport_proxy_received_bytes_total')).toBe(5 * CHANGES.length);
  expect(sumOf('sallyport_proxy_sent_bytes_total')).toBe(10 * CHANGES.length);
});

it('counts exactly beyond what it remembers: many paths, long ones, many peers of one identity', () => {
  const { counter, call, sumOf } = room();
  const many = 10_000;
  for (let i = 0; i < many; i += 1) call(facts({ path: `/p/${i}/${'x'.repeat(i % 600)}`, source: { principal: 'spiffe://m/ns/n/sa/a', ip: `10.0.${i % 7}.${i % 50}` } }));
  expect(counter.drain().flows.reduce((sum, { count }) => sum + count, 0)).toBe(many);
  expect(sumOf('sallyport_proxy_requests_total')).toBe(many);
});

it('adds bytes that moved to the calls they belong to, without counting a call', () => {
  const { counter, recorder, call, sumOf } = room();
  call(facts());
  recorder.moved(facts(), 10, 20);
  expect(counter.drain().flows).toMatchObject([{ count: 1, bytesReceived: 11, bytesSent: 22 }]);
  recorder.moved(facts(), 5, 6);
  expect(counter.drain().flows).toMatchObject([{ count: 0, bytesReceived: 5, bytesSent: 6 }]);
  expect(sumOf('sallyport_proxy_requests_total')).toBe(1);
});

it('shows a series only when it has a call, under the names that the documentation lists', () => {
  const { metrics, recorder, call } = room();
  recorder.moved(facts({ verdict: 'failed' }), 1, 1);
  call(facts({ policy: 'n/p' }));
  const { text } = metrics.render();
  expect(text.match(/^sallyport_proxy_requests_total.*$/gm)).toEqual(['sallyport_proxy_requests_total{side="inbound",source="spiffe://m/ns/n/sa/a",namespace="n",workload="w",service="",port="80",protocol="http",mtls="mutual",verdict="allowed",reason="",code_class="none"} 1']);
});

it('bounds its series: names that nobody configured fall together, and no call is lost', () => {
  const { metrics, call, sumOf } = room();
  const many = 5_000;
  for (let i = 0; i < many; i += 1) call(facts({ path: null, destination: { namespace: 'n', workload: null, service: `s${i}`, port: i } }));
  expect(metrics.render().text.match(/^sallyport_proxy_requests_total/gm)?.length).toBe(1_001);
  expect(sumOf('sallyport_proxy_requests_total')).toBe(many);
});

it('writes the access log at debug, and reads nothing for it at another level', () => {
  const loud = room('debug');
  loud.call(facts());
  expect(JSON.parse(loud.lines[0] ?? '')).toMatchObject({ msg: 'call', path: '/a', principal: 'spiffe://m/ns/n/sa/a' });
  const quiet = room('info');
  quiet.call(facts());
  expect(quiet.lines).toEqual([]);
  quiet.call(facts({ verdict: 'denied', reason: 'policy-deny' }));
  expect(JSON.parse(quiet.lines[0] ?? '')).toMatchObject({ msg: 'denied', reason: 'policy-deny' });
});
