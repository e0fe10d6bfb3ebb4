import { expect, it } from 'vitest';
import { Tracer } from './trace.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

it.each([
  ['01', '01'],
  ['03', '03'],
  // What we do not know is not passed on in a span of ours.
  ['ff', '03'],
])('continues a sampled trace with flags %s by a span of its own', (given, passed) => {
  const trace = new Tracer(0).begin(`00-${TRACE}-${SPAN}-${given}`);
  expect(trace).toMatchObject({ traceId: TRACE, parentId: SPAN, continued: true });
  expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/);
  expect(trace.spanId).not.toBe(SPAN);
  expect(trace.header).toBe(`00-${TRACE}-${trace.spanId}-${passed}`);
});

it.each([
  ['an unsampled one', 1, `00-${TRACE}-${SPAN}-00`],
  ['an unsampled one of a later version', 1, `42-${TRACE}-${SPAN}-00-more`],
  ['a sampled one when spans go nowhere', null, `00-${TRACE}-${SPAN}-01`],
])('passes on %s as it came', (_what, sample, header) => {
  expect(new Tracer(sample).begin(header)).toEqual({ traceId: TRACE, header, continued: true, spanId: null, parentId: SPAN });
});

it('understands what it can of a later version and answers in its own', () => {
  const trace = new Tracer(0).begin(`cc-${TRACE}-${SPAN}-01-what-the-future-brings`);
  expect(trace.header).toBe(`00-${TRACE}-${trace.spanId}-01`);
});

it.each([
  null,
  '',
  `00-${TRACE}-${SPAN}-01-`,
  `00-${TRACE}-${SPAN}-01-more`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  `cc-${TRACE}-${SPAN}-01more`,
  ` 00-${TRACE}-${SPAN}-01`,
])('begins anew without a context that it can read: %j', (header) => {
  const all = new Tracer(1).begin(header);
  expect(all).toMatchObject({ continued: false, parentId: null });
  expect(all.header).toBe(`00-${all.traceId}-${all.spanId}-03`);
  expect(all.traceId).not.toBe(TRACE);
  const none = new Tracer(0).begin(header);
  expect(none.header).toMatch(new RegExp(`^00-${none.traceId}-[0-9a-f]{16}-02$`));
  expect(none.spanId).toBeNull();
});

it('samples the share that it is told, by the trace’s own id', () => {
  const tracer = new Tracer(0.25);
  const traces = Array.from({ length: 20_000 }, () => tracer.begin(null));
  expect(new Set(traces.map(({ traceId }) => traceId)).size).toBe(traces.length);
  const sampled = traces.filter(({ spanId }) => spanId !== null);
  // Binomial: 6 standard deviations are 367.
  expect(Math.abs(sampled.length - 5_000)).toBeLessThan(370);
  expect(sampled.every(({ traceId }) => Number.parseInt(traceId.slice(18), 16) < 2 ** 54)).toBe(true);
});
