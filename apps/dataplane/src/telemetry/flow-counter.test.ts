import { expect, it } from 'vitest';
import { flow as flowSchema } from '@sallyport/shared/push';
import { FlowCounter, type FlowFacts } from './flow-counter.ts';
import { pathShape } from './path-shape.ts';

const facts = (changes: Partial<FlowFacts>): FlowFacts => ({
  side: 'inbound', source: { principal: null, ip: '10.0.0.1' }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 },
  protocol: 'http', method: 'GET', path: '/', mtls: 'plaintext', verdict: 'allowed', reason: null, policy: null, ...changes,
});
const add = (counter: FlowCounter, what: FlowFacts, now: number) => counter.add(counter.slot(what), one, now);
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
  add(counter, facts({ path: '/o/1' }), 100);
  add(counter, facts({ path: '/o/2' }), 200);
  const others = [{ method: 'POST' }, { mtls: 'mutual' as const }, { verdict: 'denied' as const }, { reason: 'policy-deny' as const }, { policy: 'n/p' }, { side: 'outbound' as const }, { source: { principal: null, ip: '10.0.0.2' } }];
  for (const change of others) add(counter, facts({ path: '/o/1', ...change }), 300);
  const { flows, lost } = counter.drain();
  expect(flows).toHaveLength(1 + others.length);
  expect(flows[0]).toMatchObject({ path: '/o/{id}', samplePath: '/o/1', count: 2, bytesReceived: 4, bytesSent: 6, firstSeen: 100, lastSeen: 200 });
  expect(lost).toBe(false);
  for (const item of flows) expect(flowSchema.safeParse(item).success).toBe(true);
  expect(counter.drain().flows).toEqual([]);
});

it('bounds its memory: paths fall together, then calls are lost and said to be', () => {
  const counter = new FlowCounter('p', 10);
  for (let i = 0; i < 1000; i += 1) add(counter, facts({ path: `/p${'abcdefghij'.charAt(i % 10)}${'x'.repeat(i)}` }), i);
  const { flows, lost } = counter.drain();
  expect(flows).toHaveLength(11);
  expect(flows.reduce((sum, item) => sum + item.count, 0)).toBe(1000);
  expect(flows.at(-1)?.path).toBe('{other}');
  expect(lost).toBe(false);
  for (let i = 0; i < 100; i += 1) add(counter, facts({ source: { principal: null, ip: `10.0.0.${i}` } }), i);
  const full = counter.drain();
  expect(full.flows).toHaveLength(40);
  expect(full.lost).toBe(true);
});

it('keeps a limited number of deny events', () => {
  const counter = new FlowCounter('p', 10, 3);
  const event = { at: 1, source: { principal: null, ip: '10.0.0.1' }, destination: { namespace: 'n', workload: 'w', service: null, port: 80 }, method: 'GET', path: '/', policy: null, reason: 'policy-deny' as const, traceId: null };
  for (let i = 0; i < 5; i += 1) counter.deny(event);
  expect(counter.drain().denies).toHaveLength(3);
  expect(counter.drain().denies).toEqual([]);
});
