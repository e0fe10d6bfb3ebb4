import { KINDS, API_VERSION } from '@sallyport/shared/resources';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawFault } from './faults.ts';
import { seeded } from './members.fixture.ts';
import { MirrorFeed, MirrorGate } from './mirror.ts';
import { NO_RULES, rulesOf } from './rules.ts';
import { pickByWeight } from './split.ts';
import { Deadline } from './timeouts.ts';

const rules = (spec: object) => rulesOf(KINDS.TrafficPolicy.schema.parse({ apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { name: 't', namespace: 'n' }, spec: { targetRefs: [{ kind: 'Service', name: 'a' }], ...spec } }).spec);

describe('rules', () => {
  it('of an empty policy are those of none, but for the choice of two', () => {
    expect(rules({})).toEqual({ ...NO_RULES, balancer: { ...NO_RULES.balancer, type: 'leastOfTwo' } });
  });

  it('have times in ms, shares from 0 to 1, and Gateway API’s defaults', () => {
    expect(rules({ timeouts: { request: '1m1s500ms', backendRequest: '0s' } }).timeouts).toEqual({ request: 61_500, backendRequest: Number.POSITIVE_INFINITY });
    const defaults = { share: 0.2, interval: 10_000, minimum: { count: 10, interval: 1_000 } };
    expect(rules({ retry: {} }).retry).toEqual({ codes: new Set(), grpc: new Set(), attempts: 1, backoff: 25, methods: new Set(), budget: defaults });
    expect(rules({ retry: { grpcStatuses: ['CANCELLED', 'UNAVAILABLE'] } }).retry?.grpc).toEqual(new Set([1, 14]));
    expect(rules({ retry: {}, retryConstraint: {} }).retry?.budget).toEqual(defaults);
    expect(rules({ requestMirror: { backendRef: { name: 'b' }, fraction: { numerator: 1, denominator: 4 } } }).mirror).toEqual({ service: 'b', port: null, share: 0.25 });
    expect(rules({ fault: { abort: { percentage: { value: 0.5 }, grpcStatus: 'UNAVAILABLE' } } }).faults.abort).toEqual({ share: 0.005, answer: { grpcStatus: 14 } });
    expect(rules({ loadBalancer: { type: 'ConsistentHash', consistentHash: { header: 'X-User' } } }).balancer.key).toEqual({ header: 'x-user' });
    expect(rules({ loadBalancer: { localityLbSetting: { enabled: false } } }).balancer.locality).toBeNull();
  });
});

describe('a division by weight', () => {
  const shares = fc.array(fc.record({ weight: fc.nat({ max: 100 }) }), { minLength: 1, maxLength: 5 }).filter((list) => list.some(({ weight }) => weight > 0));

  it('gives each its share', () => {
    fc.assert(fc.property(shares, fc.integer(), (list, seed) => {
      const random = seeded(seed);
      const sum = list.reduce((total, { weight }) => total + weight, 0);
      const counts = Map.groupBy(Array.from({ length: 4000 }, () => pickByWeight(list, random)), (share) => share);
      for (const share of list) expect(Math.abs((counts.get(share)?.length ?? 0) / 4000 - share.weight / sum)).toBeLessThan(0.05);
    }), { numRuns: 30 });
  });

  it('gives nothing to a weight of 0, not even at the borders of chance', () => {
    const list = [{ weight: 0 }, { weight: 1 }, { weight: 0 }];
    for (const draw of [0, 0.5, 1 - Number.EPSILON, 1]) expect(pickByWeight(list, () => draw)).toBe(list[1]);
    expect(pickByWeight([], () => 0)).toBeNull();
  });
});

describe('faults', () => {
  it('are drawn for delay and abort by themselves', () => {
    const both = { delay: { share: 0.5, ms: 100 }, abort: { share: 0.5, answer: { httpStatus: 418 } } };
    const draw = (...numbers: number[]) => drawFault(both, () => numbers.shift() ?? 0);
    expect(draw(0.49, 0.49)).toEqual({ delay: 100, answer: { httpStatus: 418 } });
    expect(draw(0.49, 0.5)).toEqual({ delay: 100, answer: null });
    expect(draw(0.5, 0.49)).toEqual({ delay: 0, answer: { httpStatus: 418 } });
    expect(draw(0.5, 0.5)).toBeNull();
    expect(drawFault(NO_RULES.faults, () => 0)).toBeNull();
  });
});

describe('a deadline', () => {
  it('holds for the whole, and for each attempt within it', () => {
    const deadline = new Deadline({ request: 1000, backendRequest: 400 }, 5000);
    expect([5000, 5700, 6000, 9000].map((now) => deadline.attempt(now))).toEqual([400, 300, 0, 0]);
    expect(deadline.allows(500, 5499)).toBe(true);
    expect(deadline.allows(500, 5500)).toBe(false);
  });

  it('is the caller’s where that is earlier', () => {
    const caller = new Deadline({ request: 1000, backendRequest: 400 }, 5000, 500);
    expect([5000, 5200, 5500, 6000].map((now) => caller.attempt(now))).toEqual([400, 300, 0, 0]);
    expect([caller.left(5100), caller.allows(500, 5000), caller.whole]).toEqual([400, false, 5500]);
    // Who ends the whole call needs no second clock for what is left of it.
    expect([5000, 5200].map((now) => caller.patience(now))).toEqual([400, Number.POSITIVE_INFINITY]);
  });

  it('is none when neither has one', () => {
    const deadline = new Deadline(NO_RULES.timeouts, 0);
    expect(deadline.attempt(1e12)).toBe(Number.POSITIVE_INFINITY);
    expect(deadline.allows(1e9, 1e12)).toBe(true);
  });
});

describe('copies', () => {
  it('are made of a share, and never more than 64 at once', () => {
    const gate = new MirrorGate();
    expect(gate.enter(0.5, () => 0.5)).toBe(false);
    expect(Array.from({ length: 100 }, () => gate.enter(1, () => 0.999)).filter((entered) => entered)).toHaveLength(64);
    gate.leave();
    expect([gate.enter(1, () => 0), gate.enter(1, () => 0)]).toEqual([true, false]);
  });

  it('are given up when their receiver is too slow, once', () => {
    const got: number[] = [];
    let aborted = 0;
    let slow = false;
    const feed = new MirrorFeed({ write: (chunk) => got.push(chunk.length) > 0 && !slow, abort: () => (aborted += 1) });
    const piece = Buffer.alloc(40_000);
    for (let time = 0; time < 10; time += 1) feed.write(piece);
    slow = true;
    feed.write(piece);
    feed.drained();
    feed.write(piece);
    expect([aborted, feed.ended]).toEqual([0, false]);
    feed.write(piece);
    feed.write(piece);
    feed.stop();
    expect([aborted, feed.ended, got.length]).toEqual([1, true, 13]);
  });
});
