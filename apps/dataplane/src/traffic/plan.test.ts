import { API_VERSION, KINDS } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../http/route.ts';
import type { CallPlan } from './call-plan.ts';
import { backendOf, endpoint, endpoints, seeded } from './members.fixture.ts';
import { type PlanInput, ServicePlan } from './plan.ts';
import { NO_RULES, rulesOf, type TrafficRules } from './rules.ts';

const rules = (spec: object) => rulesOf(KINDS.TrafficPolicy.schema.parse({ apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { name: 't', namespace: 'n' }, spec: { targetRefs: [{ kind: 'Service', name: 'a' }], ...spec } }).spec);
const input = (list: readonly Endpoint[], of: TrafficRules = NO_RULES, more: Partial<PlanInput> = {}): PlanInput => ({ rules: of, backends: [backendOf(list)], mirror: null, locality: undefined, source: '10.9.9.9', ...more });
const plan = (list: readonly Endpoint[], spec?: object, more: Partial<PlanInput> = {}) => new ServicePlan(input(list, spec && rules(spec), more), seeded(1));
const facts = (method = 'GET', headers: Record<string, string> = {}) => ({ method, header: (name: string) => headers[name] ?? null });
const nameOf = (chosen: Endpoint | null) => chosen?.workload ?? 'none';
const share = (count: number, make: () => CallPlan) => Map.groupBy(Array.from({ length: count }, () => {
  const call = make();
  const name = nameOf(call.choose(0));
  call.finish();
  return name;
}), (name) => name);

describe('without a policy', () => {
  it('calls go to the least loaded, in turns', () => {
    const service = plan(endpoints(3));
    const calls = [1, 2, 3].map(() => service.begin(facts(), 0));
    const names = calls.map((call) => nameOf(call.choose(0)));
    expect(new Set(names).size).toBe(3);
    calls[1]?.finish();
    calls[1]?.finish();
    expect(nameOf(service.begin(facts(), 0).choose(0))).toBe(names[1]);
  });

  it('a call moves on once when nobody took anything, whatever its method, and to somebody else', () => {
    const service = plan(endpoints(2));
    const call = service.begin(facts('POST'), 0);
    const first = nameOf(call.choose(0));
    expect(call.ended('refused', true, 0)).toBe(0);
    expect(nameOf(call.choose(0))).not.toBe(first);
    expect(call.ended('refused', true, 0)).toBeNull();
  });

  it('a call goes to the same endpoint again only when a kept connection was stale', () => {
    const service = plan(endpoints(1));
    const [refused, stale] = [service.begin(facts(), 0), service.begin(facts(), 0)];
    refused.choose(0);
    expect(refused.ended('refused', true, 0)).toBeNull();
    stale.choose(0);
    expect(stale.ended('untouched', true, 0)).toBe(0);
    expect(nameOf(stale.choose(0))).toBe('w0');
  });

  it('nothing else is tried again, and nothing that cannot be sent as it was', () => {
    const service = plan(endpoints(2));
    for (const end of ['broken', 'timeout', 503, 200] as const) {
      const call = service.begin(facts(), 0);
      call.choose(0);
      expect(call.ended(end, true, 0)).toBeNull();
    }
    const call = service.begin(facts(), 0);
    call.choose(0);
    expect(call.ended('untouched', false, 0)).toBeNull();
  });

  it('there is no endpoint where there is none', () => {
    expect(plan([]).begin(facts(), 0).choose(0)).toBeNull();
    expect(plan([], undefined, { backends: [] }).begin(facts(), 0).backend).toBeNull();
  });
});

describe('with a policy', () => {
  it('a call is repeated as often as it says, elsewhere first, and not beyond its time', () => {
    const service = plan(endpoints(3), { retry: { codes: [503], attempts: 3, backoff: '100ms' }, timeouts: { request: '2s' } });
    const call = service.begin(facts(), 0);
    const seen = [nameOf(call.choose(0))];
    for (const now of [0, 200, 500]) {
      expect(call.ended(503, true, now)).toBeGreaterThanOrEqual(100);
      seen.push(nameOf(call.choose(now)));
    }
    expect(new Set(seen.slice(0, 3)).size).toBe(3);
    expect(call.ended(503, true, 600)).toBeNull();
    const late = service.begin(facts(), 0);
    late.choose(1950);
    expect(late.ended(503, true, 1950)).toBeNull();
  });

  it('moving on after nothing was taken costs neither an attempt nor budget', () => {
    const service = plan(endpoints(2), { retry: { codes: [503], attempts: 1 }, retryConstraint: { budget: { percent: 0 }, minRetryRate: { count: 1, interval: '1h' } } });
    const call = service.begin(facts(), 0);
    call.choose(0);
    expect(call.ended('refused', true, 0)).toBe(0);
    call.choose(0);
    expect(call.ended(503, true, 0)).toBeGreaterThanOrEqual(25);
    const another = service.begin(facts(), 0);
    another.choose(0);
    expect(another.ended(503, true, 0)).toBeNull();
  });

  it('an endpoint that fails is left alone for its time, but for its own good answers', () => {
    const service = plan(endpoints(2), { outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: '30s' } });
    const bad = 'w0';
    let now = 0;
    const round = () => {
      const call = service.begin(facts(), now);
      const name = nameOf(call.choose(now));
      call.ended(name === bad ? 500 : 200, false, now);
      call.finish();
      return name;
    };
    for (let i = 0; i < 50; i += 1) round();
    expect(new Set(Array.from({ length: 20 }, round))).not.toContain(bad);
    now = 30_001;
    expect(new Set(Array.from({ length: 20 }, round))).toContain(bad);
  });

  it('a closed kept connection is nobody’s failure', () => {
    const service = plan(endpoints(2), { outlierDetection: { consecutive5xxErrors: 1 } });
    for (let i = 0; i < 20; i += 1) {
      const call = service.begin(facts(), 0);
      call.choose(0);
      call.ended('untouched', true, 0);
      call.finish();
    }
    expect(share(50, () => service.begin(facts(), 0)).size).toBe(2);
  });

  it.each([
    ['header', { header: 'x-user' }, (value: string) => facts('GET', { 'x-user': value })],
    ['cookie', { cookie: 'sid' }, (value: string) => facts('GET', { cookie: `a=b; sid=${value}; sid=other` })],
  ])('calls of the same %s go to the same endpoint, others anywhere', (_, consistentHash, make) => {
    const service = plan(endpoints(5), { loadBalancer: { type: 'ConsistentHash', consistentHash } });
    expect(share(50, () => service.begin(make('u1'), 0)).size).toBe(1);
    expect(share(200, () => service.begin(facts(), 0)).size).toBe(5);
    const keys = Array.from({ length: 100 }, (_each, n) => nameOf(service.begin(make(`u${n}`), 0).choose(0)));
    expect(new Set(keys).size).toBe(5);
  });

  it('calls of the same workload go to the same endpoint', () => {
    const service = (source: string) => plan(endpoints(5), { loadBalancer: { type: 'ConsistentHash', consistentHash: { sourceIP: true } } }, { source });
    expect(share(20, () => service('10.0.0.1').begin(facts(), 0)).size).toBe(1);
    expect(new Set(Array.from({ length: 50 }, (_, n) => nameOf(service(`10.0.0.${n}`).begin(null, 0).choose(0)))).size).toBe(5);
  });

  it('near endpoints are preferred until too many of them fail', () => {
    const list = [endpoint(0, 'r', 'z1'), endpoint(1, 'r', 'z1'), endpoint(2, 'r', 'z2'), endpoint(3, 'far')];
    const spec = { loadBalancer: { localityLbSetting: {} }, outlierDetection: { consecutive5xxErrors: 1 } };
    const service = plan(list, spec, { locality: { region: 'r', zone: 'z1' } });
    expect([...share(100, () => service.begin(facts(), 0)).keys()].sort()).toEqual(['w0', 'w1']);
    const call = service.begin(facts(), 0);
    const bad = nameOf(call.choose(0));
    call.ended(500, false, 0);
    call.finish();
    const after = share(1000, () => service.begin(facts(), 0));
    // One of two is healthy: 1.4 times half of the load stays near.
    expect(after.has(bad)).toBe(false);
    expect(Math.abs((after.get('w2')?.length ?? 0) - 300)).toBeLessThan(60);
    expect(after.has('w3')).toBe(false);
  });

  it('calls are divided by weight, and one for a backend that is not there has no endpoint', () => {
    const backends = [backendOf([endpoint(0)], 'api', 90), backendOf([endpoint(1)], 'v2', 10), { service: 'gone', port: null, weight: 100 }];
    const service = plan([], {}, { backends });
    const shares = share(4000, () => service.begin(facts(), 0));
    expect(['w0', 'w1', 'none'].map((name) => Math.round((shares.get(name)?.length ?? 0) / 200))).toEqual([9, 1, 10]);
  });

  it('a share of the calls is copied, and a copy frees its place when it is over', () => {
    const service = plan(endpoints(1), { requestMirror: { backendRef: { name: 'b' } } }, { mirror: backendOf([endpoint(7)], 'b') });
    const copies = Array.from({ length: 100 }, () => service.mirror());
    expect(copies.filter((copy) => copy !== null)).toHaveLength(64);
    expect(copies[0]).toMatchObject({ endpoint: { workload: 'w7' }, backend: { service: 'b' } });
    copies[0]?.done();
    expect(service.mirror()).not.toBeNull();
    expect(plan(endpoints(1), { requestMirror: { backendRef: { name: 'b' } } }, { mirror: backendOf([], 'b') }).mirror()).toBeNull();
    expect(plan(endpoints(1)).mirror()).toBeNull();
  });

  it('TCP knows neither faults nor timeouts', () => {
    const service = plan(endpoints(1), { timeouts: { request: '1s' }, fault: { delay: { percentage: { value: 100 }, fixedDelay: '1s' } } });
    const [call, connection] = [service.begin(facts(), 0), service.begin(null, 0)];
    expect([call.fault?.delay, call.deadline.left(0)]).toEqual([1000, 1000]);
    expect([connection.fault, connection.deadline.left(0)]).toEqual([null, Number.POSITIVE_INFINITY]);
  });
});

describe('a new configuration', () => {
  it('keeps loads, health and budgets, takes new endpoints and lets go of old ones', () => {
    const spec = { outlierDetection: { consecutive5xxErrors: 1 }, retry: { codes: [500] }, retryConstraint: { budget: { percent: 0 }, minRetryRate: { count: 1, interval: '1h' } } };
    const before = input(endpoints(2), rules(spec));
    const service = new ServicePlan(before, seeded(1));
    const call = service.begin(facts(), 0);
    const bad = nameOf(call.choose(0));
    expect(call.ended(500, true, 0)).not.toBeNull();
    service.update({ ...before, backends: [backendOf(endpoints(3))] });
    const after = share(100, () => service.begin(facts(), 0));
    expect([after.size, after.has(bad)]).toEqual([2, false]);
    const second = service.begin(facts(), 0);
    second.choose(0);
    expect(second.ended('broken', true, 0)).toBeNull();
    service.update({ ...before, backends: [backendOf([endpoint(9)])] });
    expect([...share(10, () => service.begin(facts(), 0)).keys()]).toEqual(['w9']);
  });

  it('has new limits at once', () => {
    const service = plan(endpoints(1), { circuitBreaker: { maxRequests: 1, maxConnections: 1 } });
    const place = service.requests.enter(() => undefined);
    expect([service.requests.enter(() => undefined), service.connections.enter(() => undefined)?.waiting]).toEqual([null, false]);
    service.update(input(endpoints(1)));
    expect(service.requests.enter(() => undefined)).not.toBeNull();
    place?.leave();
  });
});
