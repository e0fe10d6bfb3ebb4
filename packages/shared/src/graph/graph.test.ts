import { describe, expect, it } from 'vitest';
import { callersView, graphView } from '../api/index.ts';
import { aFlow, aMesh, anExpectedGraph, aService, aWorkload, fullCoverage, NOW, WINDOW } from '../testing/index.ts';
import { buildGraph, callersOf, edgeIdentity, type GraphInput, sourceOf } from './index.ts';

function graph(changes: Partial<GraphInput>) {
  const view = buildGraph({ window: WINDOW, now: NOW, mesh: aMesh(), flows: [], coverage: fullCoverage('node-a'), ...changes });
  expect(graphView.parse(view)).toEqual(view);
  return view;
}
const edgeTo = (view: ReturnType<typeof graph>, target: string) => view.edges.find((edge) => edge.target === target && edge.lastSeen !== null);
const gap = {
  ...fullCoverage('node-a'),
  share: 0.9,
  proxies: [{ ...fullCoverage('node-a').proxies[0]!, share: 0.9, gaps: [{ from: new Date(NOW - 9e5).toISOString(), to: new Date(NOW - 8e5).toISOString() }] }],
};

/** What a receiver counts when a peer's certificate did not verify. */
const handshake = { source: { principal: null }, protocol: 'tcp', method: null, path: null, mtls: 'unknown', verdict: 'failed', reason: 'peer-not-verified' } as const;

describe('states of an edge', () => {
  it('are expected when declared and let through, with the receiver counts', () => {
    const view = graph({ flows: [aFlow('shop/web', 'shop/cart'), aFlow('shop/web', 'shop/cart', { method: 'POST', count: 5, verdict: 'denied', policy: 'shop/cart' })] });
    expect(edgeTo(view, 'service:shop/cart')).toMatchObject({
      source: 'service:shop/web', port: 8080, protocol: 'http', state: 'expected', declared: true, requests: 15, denied: 5, failed: 0,
      mtls: { mutual: 15, plaintext: 0, unknown: 0 }, reporters: ['node-a'], stale: false, policies: ['shop/cart'],
      methods: [{ method: 'GET', path: '/items/{id}', requests: 10, denied: 0 }, { method: 'POST', path: '/items/{id}', requests: 5, denied: 5 }],
    });
  });

  it('are undeclared when let through without a declaration, whatever was denied beside', () => {
    const view = graph({ flows: [aFlow('shop/web', 'pay/card')] });
    expect(edgeTo(view, 'service:pay/card')).toMatchObject({ state: 'undeclared', declared: false });
  });

  it('are denied when only refusals and failures were seen, declared or not', () => {
    const denied = graph({ flows: [aFlow('shop/web', 'shop/cart', { verdict: 'denied', reason: 'policy-no-allow' })] });
    expect(edgeTo(denied, 'service:shop/cart')).toMatchObject({ state: 'denied', declared: true, requests: 10, denied: 10 });
    const failed = graph({ flows: [aFlow('shop/web', 'pay/card', { side: 'outbound', verdict: 'failed', reason: 'upstream-unreachable', mtls: 'unknown' })] });
    expect(edgeTo(failed, 'service:pay/card')).toMatchObject({ state: 'denied', requests: 0, failed: 10, mtls: { mutual: 0, plaintext: 0, unknown: 0 } });
  });

  it('are never drift for handshakes that failed: nobody was identified and no call was carried, so no stranger can make an edge undeclared', () => {
    const stranger = { ...handshake, source: { principal: null, ip: '192.0.2.9' } };
    const view = graph({ flows: [aFlow('shop/web', 'shop/cart', stranger)] });
    expect(edgeTo(view, 'service:shop/cart')).toMatchObject({ source: 'address:192.0.2.9', state: 'denied', requests: 0, denied: 0, failed: 10, methods: [], policies: [] });
    const beside = graph({ flows: [aFlow('shop/web', 'shop/cart'), aFlow('shop/web', 'shop/cart', { ...handshake, count: 3 })] });
    expect(edgeTo(beside, 'service:shop/cart')).toMatchObject({ state: 'expected', requests: 10, denied: 0, failed: 3 });
  });

  it('are unused when declared or allowed and never seen; a declared port narrows the declaration', () => {
    const view = graph({
      flows: [aFlow('shop/cart', 'pay/card', { destination: { port: 9090 } })],
      allowed: [
        { source: 'service:shop/web', target: 'service:pay/card', port: 8080, policy: 'pay/open' },
        { source: 'service:shop/cart', target: 'service:pay/card', port: 8080, policy: 'pay/open' },
      ],
    });
    expect(view.edges.map((edge) => [edge.source, edge.target, edge.port, edge.state, edge.declared, edge.policies])).toEqual([
      ['service:shop/cart', 'service:pay/card', 8080, 'unused', true, ['pay/open']],
      ['service:shop/cart', 'service:pay/card', 9090, 'undeclared', false, []],
      ['service:shop/web', 'service:pay/card', 8080, 'unused', false, ['pay/open']],
      ['service:shop/web', 'service:shop/cart', 8080, 'unused', true, []],
    ]);
    expect(view.edges[3]).toMatchObject({ lastSeen: null, reporters: [], requests: 0 });
  });
});

describe('protection', () => {
  it('counts refused plaintext as denied and as plaintext', () => {
    const flow = aFlow('shop/web', 'shop/cart', { source: { principal: null }, mtls: 'unknown', verdict: 'failed', reason: 'plaintext-refused' });
    expect(edgeTo(graph({ flows: [flow] }), 'service:shop/cart')).toMatchObject({
      state: 'denied', requests: 10, denied: 10, failed: 0, mtls: { mutual: 0, plaintext: 10, unknown: 0 },
    });
  });

  it('is that of calls: a handshake that failed carried none, and spoils no share', () => {
    const view = graph({ flows: [aFlow('shop/web', 'shop/cart'), aFlow('shop/web', 'shop/cart', handshake)] });
    expect(edgeTo(view, 'service:shop/cart')).toMatchObject({ requests: 10, failed: 10, mtls: { mutual: 10, plaintext: 0, unknown: 0 }, protocol: 'http' });
  });

  it('takes what only the caller counted for calls in flight while the receiver reported all the time', () => {
    const flows = [aFlow('shop/web', 'shop/cart'), aFlow('shop/web', 'shop/cart', { side: 'outbound', count: 13 })];
    expect(edgeTo(graph({ flows }), 'service:shop/cart')?.mtls).toEqual({ mutual: 10, plaintext: 0, unknown: 0 });
  });

  it('takes it for unknown where the receiver has a gap, never below zero', () => {
    const more = [aFlow('shop/web', 'shop/cart'), aFlow('shop/web', 'shop/cart', { side: 'outbound', count: 13 })];
    expect(edgeTo(graph({ flows: more, coverage: gap }), 'service:shop/cart')).toMatchObject({ stale: true, mtls: { mutual: 10, plaintext: 0, unknown: 3 } });
    const fewer = [aFlow('shop/web', 'shop/cart'), aFlow('shop/web', 'shop/cart', { side: 'outbound', count: 4 })];
    expect(edgeTo(graph({ flows: fewer, coverage: gap }), 'service:shop/cart')?.mtls.unknown).toBe(0);
  });

  it('never believes the caller about mTLS to a receiver that never reports', () => {
    const flows = [aFlow('shop/web', 'shop/cart', { side: 'outbound' })];
    expect(edgeTo(graph({ flows, coverage: fullCoverage() }), 'service:shop/cart')).toMatchObject({
      state: 'expected', requests: 0, stale: true, mtls: { mutual: 0, plaintext: 0, unknown: 10 },
    });
  });

  it('shows what went to an address that the mesh does not know as unknown and in plaintext, and what was not let go there as neither', () => {
    const unknown = { side: 'outbound', protocol: 'tcp', destination: { namespace: 'shop', workload: null, service: null, port: 443 }, method: null, path: null, reason: 'unknown-destination' } as const;
    const passed = graph({ flows: [aFlow('shop/web', 'shop/cart', { ...unknown, mtls: 'plaintext' })] });
    expect(edgeTo(passed, 'workload:shop/unknown-destination')).toMatchObject({ state: 'undeclared', port: 443, mtls: { mutual: 0, plaintext: 10, unknown: 0 } });
    const refused = graph({ flows: [aFlow('shop/web', 'shop/cart', { ...unknown, mtls: 'unknown', verdict: 'denied' })] });
    expect(edgeTo(refused, 'workload:shop/unknown-destination')).toMatchObject({ state: 'denied', mtls: { mutual: 0, plaintext: 0, unknown: 10 } });
  });

  it('takes the caller at its word for plaintext to a workload outside the mesh', () => {
    const mesh = aMesh({ workloads: [aWorkload('shop/web'), aWorkload('shop/cart', { proxy: null })] });
    const flows = [aFlow('shop/web', 'shop/cart', { side: 'outbound', mtls: 'plaintext' })];
    const view = graph({ mesh, flows });
    expect(edgeTo(view, 'service:shop/cart')).toMatchObject({ stale: true, mtls: { mutual: 0, plaintext: 10, unknown: 0 } });
    expect(view.nodes.find((node) => node.id === 'service:shop/cart')).toMatchObject({ meshed: false, proxies: [] });
  });

  it('takes the caller at its word for calls to another trust domain, whose proxies do not report to us', () => {
    const abroad = aWorkload('shop/cart', { proxy: null, spiffeId: 'spiffe://partner.test/ns/shop/sa/cart', foreign: 'partner.test' });
    const mesh = aMesh({ workloads: [aWorkload('shop/web'), abroad] });
    const out = (changes: Parameters<typeof aFlow>[2]) => aFlow('shop/web', 'shop/cart', { side: 'outbound', ...changes });
    const flows = [out({}), out({ verdict: 'denied', reason: 'policy-no-allow', count: 2 }), out({ verdict: 'failed', reason: 'upstream-unreachable', mtls: 'unknown', count: 3 })];
    const view = graph({ mesh, flows });
    expect(edgeTo(view, 'service:shop/cart')).toMatchObject({ requests: 12, denied: 2, failed: 3, stale: false, mtls: { mutual: 12, plaintext: 0, unknown: 0 } });
    expect(view.nodes.find((node) => node.id === 'service:shop/cart')).toMatchObject({ trustDomain: 'partner.test', meshed: false });
    const gap = { ...fullCoverage('node-a'), proxies: [{ ...fullCoverage('node-a').proxies[0]!, live: false }] };
    expect(edgeTo(graph({ mesh, flows, coverage: gap }), 'service:shop/cart')).toMatchObject({ stale: true });
  });

  it('is stale while a serving proxy is not live', () => {
    const silent = { ...fullCoverage('node-a'), proxies: [{ ...fullCoverage('node-a').proxies[0]!, live: false }] };
    const view = graph({ flows: [aFlow('shop/web', 'shop/cart')], coverage: silent });
    expect(edgeTo(view, 'service:shop/cart')?.stale).toBe(true);
    expect(view.nodes[0]?.proxies).toEqual([{ name: 'node-a', live: false }]);
  });
});

describe('who a flow came from', () => {
  it('is the workload with the address when the peer spoke plaintext, else nobody we know', () => {
    const plain = { source: { principal: null } };
    expect(sourceOf(aFlow('shop/web', 'shop/cart', plain), aMesh())).toMatchObject({ id: 'service:shop/web', workload: 'shop/web' });
    const stranger = aFlow('shop/web', 'shop/cart', { source: { principal: null, ip: '192.0.2.9' } });
    expect(sourceOf(stranger, aMesh())).toEqual({ id: 'address:192.0.2.9', kind: 'address', namespace: '', name: '192.0.2.9', workload: null });
  });

  it('follows the identity, not the address: an address of another workload does not lend its name', () => {
    const flow = aFlow('shop/web', 'pay/card', { source: { ip: aWorkload('shop/cart').address } });
    expect(sourceOf(flow, aMesh()).id).toBe('service:shop/web');
  });

  it('is the service account itself where one identity is shared by workloads of several services', () => {
    const shared = { serviceAccount: 'shared' };
    const mesh = aMesh({ workloads: [aWorkload('shop/web', shared), aWorkload('shop/cart', shared)] });
    const principal = 'spiffe://shop.test/ns/shop/sa/shared';
    const from = (ip: string) => sourceOf(aFlow('shop/web', 'pay/card', { source: { principal, ip } }), mesh);
    expect(from('192.0.2.1')).toMatchObject({ id: 'workload:shop/sa.shared', workload: null });
    expect(from(aWorkload('shop/cart').address)).toMatchObject({ id: 'service:shop/cart', workload: 'shop/cart' });
  });

  it('does not take a foreign trust domain for ours', () => {
    const flow = aFlow('shop/web', 'pay/card', { source: { principal: 'spiffe://evil.test/ns/shop/sa/web', ip: '192.0.2.1' } });
    expect(sourceOf(flow, aMesh()).id).toBe('address:192.0.2.1');
    expect(graph({ flows: [flow] }).nodes[0]).toMatchObject({ id: 'address:192.0.2.1', spiffeId: 'spiffe://evil.test/ns/shop/sa/web', meshed: false });
  });
});

describe('what is shown', () => {
  it('shows every service, workloads without one by themselves, and declared ends that do not exist', () => {
    const mesh = aMesh({
      workloads: [aWorkload('shop/web'), aWorkload('shop/loader')],
      services: [aService('shop/web'), aService('shop/empty', { workloads: [] })],
      expected: [anExpectedGraph('shop/ghost > shop/nowhere')],
    });
    const view = graph({ mesh });
    expect(view.nodes.map((node) => [node.id, node.meshed])).toEqual([
      ['service:shop/empty', false], ['service:shop/nowhere', false], ['service:shop/web', true],
      ['workload:shop/loader', true], ['workload:shop/sa.ghost', false],
    ]);
    expect(view.edges).toMatchObject([{ source: 'workload:shop/sa.ghost', target: 'service:shop/nowhere', state: 'unused', stale: true }]);
  });

  it('keeps edges with either end in the namespace', () => {
    const flows = [aFlow('shop/web', 'shop/cart'), aFlow('shop/cart', 'pay/card')];
    const view = graph({ flows, namespace: 'pay' });
    expect(view.edges.map((edge) => edge.source)).toEqual(['service:shop/cart']);
    expect(view.nodes.map((node) => node.id)).toEqual(['service:pay/card', 'service:shop/cart']);
  });

  it('keeps what needs attention under a limit and says what it hid', () => {
    const flows = [aFlow('shop/web', 'shop/cart', { count: 9999 }), aFlow('shop/web', 'pay/card')];
    const view = graph({ flows, limit: 2 });
    expect(view.nodes.map((node) => node.id)).toEqual(['service:pay/card', 'service:shop/web']);
    expect(view.edges.map((edge) => edge.state)).toEqual(['undeclared']);
    expect(view.hidden).toEqual({ nodes: 1, edges: 2 });
  });

  it('does not depend on the order of its input', () => {
    const flows = [aFlow('shop/web', 'shop/cart'), aFlow('shop/cart', 'pay/card'), aFlow('shop/web', 'pay/card')];
    expect(graph({ flows })).toEqual(graph({ flows: flows.toReversed() }));
  });
});

describe('callersOf', () => {
  const input = { window: WINDOW, mesh: aMesh(), coverage: fullCoverage('node-a'), namespace: 'shop', service: 'cart' };

  it('lists each kind of call that arrived, plaintext apart, most frequent first', () => {
    const view = callersOf({
      ...input,
      flows: [
        aFlow('pay/card', 'shop/cart', { source: { principal: null }, mtls: 'plaintext', count: 3 }),
        aFlow('shop/web', 'shop/cart', { lastSeen: NOW - 5000 }),
        aFlow('shop/web', 'shop/cart', { verdict: 'denied', count: 2 }),
        aFlow('shop/web', 'shop/cart', { side: 'outbound', count: 99 }),
        aFlow('shop/web', 'pay/card'),
      ],
    });
    expect(callersView.parse(view)).toEqual(view);
    expect(view).toMatchObject({ selector: { app: 'cart' }, ports: [{ port: 8080, protocol: 'http' }] });
    expect(view.callers).toMatchObject([
      { workload: 'shop/web', mtls: 'mutual', requests: 12, denied: 2, declared: true, lastSeen: '2026-01-15T11:59:59.000Z' },
      { principal: null, workload: 'pay/card', mtls: 'plaintext', requests: 3, declared: false },
    ]);
  });

  it('does not list whoever never got past the handshake', () => {
    expect(callersOf({ ...input, flows: [aFlow('pay/card', 'shop/cart', handshake)] }).callers).toEqual([]);
  });

  it('knows nothing of a service that does not exist', () => {
    expect(callersOf({ ...input, service: 'none', flows: [] })).toMatchObject({ callers: [], ports: [], selector: {} });
  });
});

describe('edgeIdentity', () => {
  it('is who called what, apart from how', () => {
    expect(edgeIdentity(aFlow('shop/web', 'shop/cart'))).toBe('spiffe://shop.test/ns/shop/sa/web>shop/cart:8080');
    expect(edgeIdentity(aFlow('shop/web', 'shop/cart', { method: 'PUT', source: { principal: null, ip: '192.0.2.1' } }))).toBe('192.0.2.1>shop/cart:8080');
  });
});
