import { expect, it } from 'vitest';
import { flow as flowSchema } from '@sallyport/shared/push';
import { FlowCounter, type FlowFacts } from './flow-counter.ts';
import { pathShape } from './path-shape.ts';

const facts = (changes: Partial<FlowFacts>): FlowFacts => ({
  side: 'inbound', source: { principal: null, ip: '10.0.0.1' }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 },
  protocol: 'http', method: 'GET', path: '/', mtls: 'plaintext', verdict: 'allowed', reason: null, policy: null, ...changes,
});
const one = { count: 1, bytesReceived: 2, bytesSent: 3 };

it.each([
  ['/', '/'],
  ['/orders/17/items/3', '/orders/{id}/items/{id}'],
  ['/product/OLJCESPC7Z', '/product/{id}'],
  ['/u/7d444840-9dc0-11d1-b245-5ffdce74fad2/x', '/u/{id}/x'],
  ['/blob/9f86d081884c7d65', '/blob/{id}'],
  ['/t/eyJhbGciOiJFUzI1NiJ9', '/t/{id}'],
  ['/api/v2/catalog-2024/deadbeef', '/api/v2/catalog-2024/deadbeef'],
  ['/checkout/place-order/', '/checkout/place-order/'],
])('the shape of %s is %s', (path, shape) => {
  expect(pathShape(path)).toBe(shape);
});

it('adds up what is equal in every dimension and keeps apart what is not', () => {
  const counter = new FlowCounter('p');
  counter.add(facts({ path: '/o/1' }), one, 100);
  counter.add(facts({ path: '/o/2' }), one, 200);
  const others = [{ method: 'POST' }, { mtls: 'mutual' as const }, { verdict: 'denied' as const }, { reason: 'policy-deny' as const }, { policy: 'n/p' }, { side: 'outbound' as const }, { source: { principal: null, ip: '10.0.0.2' } }];
  for (const change of others) counter.add(facts({ path: '/o/1', ...change }), one, 300);
  const { flows, lost } = counter.drain();
  expect(flows).toHaveLength(1 + others.length);
  expect(flows[0]).toMatchObject({ path: '/o/{id}', samplePath: '/o/1', count: 2, bytesReceived: 4, bytesSent: 6, firstSeen: 100, lastSeen: 200 });
  expect(lost).toBe(0);
  for (const item of flows) expect(flowSchema.safeParse(item).success).toBe(true);
  expect(counter.drain().flows).toEqual([]);
});

it('bounds its memory: paths fall together, then calls are lost and said to be', () => {
  const counter = new FlowCounter('p', 10);
  for (let i = 0; i < 1000; i += 1) counter.add(facts({ path: `/p${'abcdefghij'.charAt(i % 10)}${'x'.repeat(i)}` }), one, i);
  const { flows, lost } = counter.drain();
  expect(flows).toHaveLength(11);
  expect(flows.reduce((sum, item) => sum + item.count, 0)).toBe(1000);
  expect(flows.at(-1)?.path).toBe('{other}');
  expect(lost).toBe(0);
  for (let i = 0; i < 100; i += 1) counter.add(facts({ source: { principal: null, ip: `10.0.0.${i}` } }), one, i);
  const full = counter.drain();
  expect(full.flows).toHaveLength(40);
  expect(full.flows.reduce((sum, item) => sum + item.count, 0) + full.lost).toBe(100);
  expect(full.lost).toBe(60);
});

it('keeps a limited number of deny events', () => {
  const counter = new FlowCounter('p', 10, 3);
  const event = { at: 1, source: { principal: null, ip: '10.0.0.1' }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 }, method: 'GET', path: '/', policy: null, reason: 'policy-deny' as const, traceId: null };
  for (let i = 0; i < 5; i += 1) counter.deny(event);
  expect(counter.drain().denies).toHaveLength(3);
  expect(counter.drain().denies).toEqual([]);
});

it('counts on in the series that it found before, and in new ones after it forgot them', () => {
  const counter = new FlowCounter('p', 10);
  const kinds = (from: number) => Array.from({ length: 10 }, (_, i) => facts({ source: { principal: `spiffe://t/${from + i}`, ip: '10.0.0.1' } }));
  for (let round = 0; round < 30; round += 1) {
    for (const kind of [...kinds(0), ...kinds(0), ...kinds(round * 10).slice(0, round === 0 ? 0 : 10)]) counter.add(kind, one, round);
    const { flows, lost } = counter.drain();
    expect(flows.reduce((sum, item) => sum + item.count, 0)).toBe(round === 0 ? 20 : 30);
    expect(flows.every((item) => item.firstSeen === round && item.lastSeen === round)).toBe(true);
    expect(lost).toBe(0);
  }
});

it('keeps a report below what the operator takes, however long the paths are', () => {
  const counter = new FlowCounter('p');
  for (let i = 0; i < 4000; i += 1) counter.add(facts({ path: `/${i.toString(36)}${'x'.repeat(1000)}` }), one, i);
  const { flows, lost } = counter.drain();
  expect(flows.reduce((sum, item) => sum + item.count, 0)).toBe(4000);
  expect(lost).toBe(0);
  expect(Buffer.byteLength(JSON.stringify(flows))).toBeLessThan(4 * 1024 * 1024);
});
