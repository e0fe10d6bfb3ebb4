import { graphView, type GraphEdge, type GraphNode, type GraphView } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { elementsOf } from './elements.ts';
import { edgeId, edgeLabel, isLocked, nodeCondition, readStates, shownEdges, stateWords } from './model.ts';

const NOW = '2026-01-15T12:00:00.000Z';
const EARLIER = '2026-01-15T11:50:00.000Z';

function anEdge(changes: Partial<GraphEdge>): GraphEdge {
  return {
    source: 'service:shop/web', target: 'service:shop/cart', port: 8080, protocol: 'http', state: 'expected', declared: true, requests: 10, denied: 0, failed: 0,
    mtls: { mutual: 10, plaintext: 0, unknown: 0 }, reporters: ['node-a'], lastSeen: NOW, stale: false, methods: [{ method: 'GET', path: '/cart/{id}', requests: 10, denied: 0 }],
    policies: [], ...changes,
  };
}

function aNode(changes: Partial<GraphNode>): GraphNode {
  return { id: 'service:shop/cart', kind: 'service', namespace: 'shop', name: 'cart', spiffeId: null, trustDomain: null, meshed: true, proxies: [{ name: 'node-a', live: true }], workloads: ['cart-1'], ...changes };
}

function aView(changes: Partial<GraphView> = {}): GraphView {
  return graphView.parse({
    window: { from: EARLIER, to: NOW },
    coverage: { proxiesExpected: 1, proxiesReporting: 1, share: 1, since: null, proxies: [{ name: 'node-a', share: 1, lastReport: EARLIER, live: true, gaps: [] }] },
    nodes: [aNode({}), aNode({ id: 'service:shop/web', name: 'web' })],
    edges: [anEdge({}), anEdge({ state: 'denied', denied: 10, port: 9090, policies: ['shop/lock'] })],
    hidden: { nodes: 0, edges: 0 },
    ...changes,
  });
}

describe('the lock on an edge', () => {
  it('is there only when all calls were mutual TLS and nobody was silent', () => {
    expect(isLocked(anEdge({}))).toBe(true);
    expect(isLocked(anEdge({ stale: true }))).toBe(false);
    expect(isLocked(anEdge({ mtls: { mutual: 9, plaintext: 1, unknown: 0 } }))).toBe(false);
    expect(isLocked(anEdge({ mtls: { mutual: 9, plaintext: 0, unknown: 1 } }))).toBe(false);
    expect(isLocked(anEdge({ requests: 0, mtls: { mutual: 0, plaintext: 0, unknown: 0 } }))).toBe(false);
    expect(isLocked(anEdge({ state: 'unused' }))).toBe(false);
    expect(isLocked(anEdge({ state: 'denied' }))).toBe(false);
  });

  it('gives way to the figure', () => {
    expect(edgeLabel(anEdge({}))).toBe('');
    expect(edgeLabel(anEdge({ mtls: { mutual: 82, plaintext: 18, unknown: 0 } }))).toBe('82 % mTLS\n18 % plaintext');
    expect(edgeLabel(anEdge({ stale: true }))).toBe('? unknown');
    expect(edgeLabel(anEdge({ denied: 3 }))).toBe('✕ 3 denied');
    expect(edgeLabel(anEdge({ state: 'denied', denied: 3, mtls: { mutual: 0, plaintext: 3, unknown: 0 } }))).toBe('✕ 3 denied');
    expect(edgeLabel(anEdge({ state: 'denied', requests: 0, failed: 4 }))).toBe('✕ 4 failed');
    expect(edgeLabel(anEdge({ state: 'unused' }))).toBe('');
  });
});

describe('stateWords', () => {
  it('does not call denied what nobody denied', () => {
    expect(stateWords(anEdge({ state: 'denied', denied: 3, failed: 2 })).name).toBe('denied');
    expect(stateWords(anEdge({ state: 'denied', requests: 0, failed: 2 }))).toMatchObject({ name: 'failed', means: expect.stringContaining('handshake') });
    expect(stateWords(anEdge({})).name).toBe('expected');
  });
});

describe('nodeCondition', () => {
  const { coverage } = aView();
  it('is live only when every proxy reports, and tells since when there is no data', () => {
    expect(nodeCondition(aNode({}), coverage)).toEqual({ kind: 'live' });
    expect(nodeCondition(aNode({ meshed: false }), coverage)).toEqual({ kind: 'partly' });
    expect(nodeCondition(aNode({ proxies: [] }), coverage)).toEqual({ kind: 'outside' });
    expect(nodeCondition(aNode({ proxies: [], meshed: false, trustDomain: 'partner.example' }), coverage)).toEqual({ kind: 'foreign', trustDomain: 'partner.example' });
    expect(nodeCondition(aNode({ kind: 'address', proxies: [] }), coverage)).toEqual({ kind: 'address' });
    expect(nodeCondition(aNode({ proxies: [{ name: 'node-a', live: false }] }), coverage)).toEqual({ kind: 'silent', since: EARLIER, proxy: 'node-a' });
    expect(nodeCondition(aNode({ proxies: [{ name: 'gone', live: false }] }), coverage)).toEqual({ kind: 'silent', since: null, proxy: 'gone' });
    expect(nodeCondition(aNode({ proxies: [{ name: 'node-a', live: false }, { name: 'node-b', live: true }] }), coverage)).toEqual({ kind: 'partly' });
  });
});

describe('shownEdges', () => {
  it('filters by state and by words', () => {
    const view = aView();
    expect(shownEdges(view, { states: readStates(''), find: '' })).toHaveLength(2);
    expect(shownEdges(view, { states: readStates('denied,nonsense'), find: '' }).map((edge) => edge.port)).toEqual([9090]);
    expect(shownEdges(view, { states: readStates('nonsense'), find: 'shop/lock' }).map((edge) => edge.port)).toEqual([9090]);
    expect(shownEdges(view, { states: readStates(''), find: 'nobody' })).toEqual([]);
    expect(shownEdges(aView({ edges: [anEdge({ state: 'denied', failed: 1 })] }), { states: readStates(''), find: 'failed' })).toHaveLength(1);
  });
});

describe('elementsOf', () => {
  it('draws every node in the box of its namespace and every edge once', () => {
    const view = aView();
    const elements = elementsOf(view, Date.parse(NOW));
    expect(elements.map((element) => element.data.id)).toEqual(['namespace:shop', 'service:shop/cart', 'service:shop/web', ...view.edges.map(edgeId)]);
    expect(elements[1]?.data).toMatchObject({ parent: 'namespace:shop', condition: 'live' });
  });

  it('writes on a silent node since when', () => {
    const view = aView({ nodes: [aNode({ proxies: [{ name: 'node-a', live: false }] })], edges: [] });
    expect(elementsOf(view, Date.parse(NOW))[1]?.data).toMatchObject({ condition: 'silent', label: expect.stringMatching(/^cart\nno data since \d\d:\d\d:\d\d$/) });
  });
});
