import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReplayBuffer, REPLAY_BYTES } from './replay.ts';
import { backoffMs, RetryBudget, wantsRetry } from './retries.ts';
import type { RetryRules } from './rules.ts';

const BUDGET = { share: 0.2, interval: 10_000, minimum: { count: 10, interval: 1_000 } };
const RULES: RetryRules = { codes: new Set([503]), grpc: new Set([14]), attempts: 2, backoff: 25, methods: new Set(['PATCH']), budget: BUDGET };

describe('who is sent again', () => {
  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'PATCH'])('%s, after an answer that the policy names, a break and a timeout', (method) => {
    for (const end of [503, 'broken', 'timeout', 'refused', 'untouched'] as const) expect(wantsRetry(end, method, 0, RULES)).toBe(true);
    expect(wantsRetry(502, method, 0, RULES)).toBe(false);
  });

  it.each(['POST', 'CONNECT', 'get', 'MINE'])('%s only when nobody took anything of it', (method) => {
    for (const end of [503, 'broken', 'timeout'] as const) expect(wantsRetry(end, method, 0, RULES)).toBe(false);
    for (const end of ['refused', 'untouched'] as const) expect(wantsRetry(end, method, 0, RULES)).toBe(true);
  });

  it('a call of gRPC, which is POST, after a status that the policy names', () => {
    expect([14, 13].map((status) => wantsRetry({ grpc: status }, 'POST', 0, RULES))).toEqual([true, false]);
    expect(wantsRetry({ grpc: 14 }, 'POST', 2, RULES)).toBe(false);
  });

  it('nobody more often than the policy says', () => {
    expect([0, 1, 2, 3].map((retried) => wantsRetry(503, 'GET', retried, RULES))).toEqual([true, true, false, false]);
  });
});

it('the wait doubles up to tenfold; chance adds at most half and never takes away', () => {
  expect([0, 1, 2, 3, 4, 9].map((retried) => backoffMs(25, retried, () => 0))).toEqual([25, 50, 100, 200, 250, 250]);
  expect(backoffMs(100, 0, () => 0.999)).toBeCloseTo(149.95);
});

describe('the budget', () => {
  it('is a share of the calls of the interval', () => {
    const budget = new RetryBudget({ ...BUDGET, minimum: { count: 0, interval: 1_000 } });
    const takes = (now: number, times: number) => Array.from({ length: times }, () => budget.take(now)).filter((taken) => taken).length;
    expect(takes(0, 5)).toBe(0);
    for (let call = 0; call < 100; call += 1) budget.call(1000);
    expect(takes(1500, 50)).toBe(20);
    expect(takes(9_000, 50)).toBe(0);
    for (let call = 0; call < 10; call += 1) budget.call(9_500);
    expect(takes(9_500, 50)).toBe(2);
    // The first hundred are too old to count, and so are their repetitions; the ten and their two still do.
    expect(takes(12_000, 50)).toBe(0);
    expect(takes(60_000, 50)).toBe(0);
  });

  it('has a minimum rate', () => {
    const budget = new RetryBudget({ ...BUDGET, share: 0 });
    const takes = (now: number, times: number) => Array.from({ length: times }, () => budget.take(now)).filter((taken) => taken).length;
    expect([takes(0, 50), takes(500, 50), takes(100_000, 50), takes(99_000, 50)]).toEqual([10, 5, 10, 0]);
  });

  it('is never exceeded, whatever comes when', () => {
    const step = fc.record({ take: fc.boolean(), wait: fc.constantFrom(0, 1, 7, 99, 100, 101, 999, 5000, 30_000), times: fc.integer({ min: 1, max: 20 }) });
    const rules = fc.record({ percent: fc.nat({ max: 100 }), interval: fc.constantFrom(1_000, 10_000), count: fc.nat({ max: 5 }) });
    fc.assert(fc.property(rules, fc.array(step, { maxLength: 100 }), ({ percent, interval, count }, steps) => {
      const budget = new RetryBudget({ share: percent / 100, interval, minimum: { count, interval: 1_000 } });
      let [now, calls, retries] = [0, 0, 0];
      for (const { take, wait, times } of steps) {
        now += wait;
        for (let time = 0; time < times; time += 1) {
          if (!take) {
            budget.call(now);
            calls += 1;
          } else if (budget.take(now)) retries += 1;
          expect(retries).toBeLessThanOrEqual((percent * calls) / 100 + count * (1 + now / 1_000) + 1e-6);
        }
      }
    }));
  });
});

describe('what is kept of a body', () => {
  it('is all of it or nothing', () => {
    const buffer = new ReplayBuffer();
    buffer.add(Buffer.alloc(REPLAY_BYTES - 1, 'a'));
    buffer.add(Buffer.from('b'));
    expect(Buffer.concat(buffer.chunks ?? []).length).toBe(REPLAY_BYTES);
    buffer.add(Buffer.from('c'));
    expect(buffer.chunks).toBeNull();
    buffer.add(Buffer.from('d'));
    expect(buffer.chunks).toBeNull();
  });
});
