import { describe, expect, it } from 'vitest';
import { blocker } from '../api/index.ts';
import { aFlow, aMesh, aWorkload, fullCoverage, NOW, WINDOW } from '../testing/index.ts';
import { strictBlockers, type StrictInput } from './index.ts';

function blockers(changes: Partial<StrictInput>) {
  const found = strictBlockers({
    namespace: 'shop',
    window: WINDOW,
    now: NOW,
    mesh: aMesh(),
    flows: [aFlow('shop/web', 'shop/cart')],
    coverage: fullCoverage('node-a'),
    minimumCoverage: 0.95,
    pendingProxies: [],
    stepping: false,
    ...changes,
  });
  for (const item of found) expect(blocker.parse(item)).toEqual(item);
  return found;
}
const plain = { mtls: 'plaintext', source: { principal: null, ip: '192.0.2.7' } } as const;

describe('strictBlockers', () => {
  it('are none when every call was mTLS and every proxy told', () => {
    expect(blockers({})).toEqual([]);
  });

  it('name each plaintext caller once per destination and port, with count and time', () => {
    const found = blockers({
      flows: [
        aFlow('x/x', 'shop/cart', { ...plain, count: 3, lastSeen: NOW - 9000 }),
        aFlow('x/x', 'shop/cart', { ...plain, count: 4, method: 'POST', lastSeen: NOW - 5000 }),
        aFlow('x/x', 'pay/card', plain),
        aFlow('x/x', 'shop/cart', { ...plain, side: 'outbound' }),
      ],
    });
    expect(found).toMatchObject([
      {
        kind: 'plaintext-caller', source: { ip: '192.0.2.7', workload: null }, count: 7, port: 8080, lastSeen: '2026-01-15T11:59:55.000Z',
        destination: { namespace: 'shop', workload: 'cart', service: 'cart' },
      },
    ]);
    expect(found[0]?.remedy).toContain('192.0.2.7');
  });

  it('tell how to enrol a caller whose workload is known, or how to send a meshed one through its proxy', () => {
    const legacy = aWorkload('old/billing', { proxy: null });
    const mesh = aMesh({ workloads: [...aMesh().workloads, legacy] });
    const from = (ip: string) => blockers({ mesh, flows: [aFlow('x/x', 'shop/cart', { ...plain, source: { principal: null, ip } })] })[0];
    expect(from(legacy.address)).toMatchObject({ source: { workload: 'old/billing' }, remedy: 'sallyport workload enroll old/billing' });
    expect(from(aWorkload('pay/card').address)?.remedy).toContain('calls around its proxy node-a');
    const before = aFlow('x/x', 'shop/cart', { ...plain, source: { principal: null, ip: aWorkload('pay/card').address }, lastSeen: NOW - 60_000 });
    expect(blockers({ flows: [before] })[0]?.remedy).toContain('the gate opens at 2026-01-15T12:14:00.000Z');
  });

  it('count what strict refused, and leave out what policy refuses anyway', () => {
    expect(blockers({ flows: [aFlow('x/x', 'shop/cart', { ...plain, verdict: 'denied', reason: 'plaintext-refused' })] })).toHaveLength(1);
    expect(blockers({ flows: [aFlow('x/x', 'shop/cart', { ...plain, verdict: 'denied', reason: 'policy-no-allow' })] })).toEqual([]);
    expect(blockers({ flows: [aFlow('x/x', 'shop/cart', { ...plain, verdict: 'failed', reason: 'upstream-unreachable' })] })).toHaveLength(1);
  });

  it('leave out handshakes that failed: strict changes nothing for them', () => {
    expect(blockers({ flows: [aFlow('x/x', 'shop/cart', { ...plain, mtls: 'unknown', verdict: 'failed', reason: 'peer-not-verified' })] })).toEqual([]);
  });

  it('say that nothing is known without telemetry', () => {
    expect(blockers({ coverage: fullCoverage() }).map((item) => item.kind)).toEqual(['no-telemetry']);
    const silent = { ...fullCoverage('node-a').proxies[0]!, live: false };
    const found = blockers({ coverage: { ...fullCoverage('node-a'), proxies: [silent] } });
    expect(found).toMatchObject([{ kind: 'no-telemetry', lastSeen: silent.lastReport }]);
    expect(found[0]?.message).toContain(`no data since ${silent.lastReport}`);
  });

  it('name a proxy with a gap, and a silent one however much it reported before', () => {
    const [a, b] = fullCoverage('node-a', 'node-b').proxies;
    const coverage = { ...fullCoverage('node-a', 'node-b'), proxies: [{ ...a!, share: 0.9499 }, { ...b!, live: false }] };
    const found = blockers({ coverage });
    expect(found.map((item) => item.kind)).toEqual(['coverage-gap', 'coverage-gap']);
    expect(found[0]?.message).toContain('94.9 % of the window; 95 % is required');
    expect(found[1]?.message).toContain('node-b is silent');
  });

  it('name workloads outside the mesh, proxies that are behind, and a step in progress', () => {
    const mesh = aMesh({ workloads: [aWorkload('shop/web'), aWorkload('shop/cart', { proxy: null }), aWorkload('pay/card', { proxy: 'node-b' })] });
    const found = blockers({ mesh, pendingProxies: ['node-a', 'node-b'], stepping: true });
    expect(found.map((item) => [item.kind, item.destination.workload])).toEqual([
      ['already-stepping', null], ['unmeshed-workload', 'cart'], ['proxy-behind', null],
    ]);
    expect(found[2]?.message).toContain('node-a');
  });
});
