import type { DeniesView, GraphEdge, GraphNode, GraphView } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { refusalsOf } from './refusals.ts';

type Deny = DeniesView['items'][number];
const NOW = '2026-01-15T12:00:00.000Z';
const WEB = 'spiffe://shop.test/ns/shop/sa/web';

function anEdge(source: string, changes: Partial<GraphEdge> = {}): GraphEdge {
  return {
    source, target: 'service:pay/card', port: 8080, protocol: 'http', state: 'denied', declared: false, requests: 0, denied: 0, failed: 2,
    mtls: { mutual: 0, plaintext: 0, unknown: 0 }, reporters: ['node-a'], lastSeen: NOW, stale: false, methods: [], policies: [], ...changes,
  };
}

function aNode(id: string, workloads: string[], spiffeId: string | null = null): GraphNode {
  const [namespace = '', name = ''] = id.slice(id.indexOf(':') + 1).split('/');
  return { id, kind: 'service', namespace, name, spiffeId, trustDomain: null, meshed: true, proxies: [], workloads };
}

function aDeny(source: Partial<Deny['source']>, reason: string, port = 8080): Deny {
  return {
    at: NOW, source: { principal: null, ip: '10.0.0.1', workload: null, ...source }, destination: { namespace: 'pay', workload: 'card-1', service: 'card', port },
    method: null, path: null, policy: null, reason, reporter: 'node-a', traceId: null,
  };
}

function aView(...edges: GraphEdge[]): GraphView {
  const coverage = { proxiesExpected: 1, proxiesReporting: 1, share: 1, since: null, proxies: [] };
  const nodes = [aNode('service:pay/card', ['card-1']), aNode('service:shop/web', ['web-1']), aNode('workload:shop/sa.shared', [], WEB)];
  return { window: { from: NOW, to: NOW }, coverage, nodes, edges, hidden: { nodes: 0, edges: 0 } };
}

describe('refusalsOf', () => {
  it('counts by reason, the most frequent first, and only on the port of the edge', () => {
    const edge = anEdge('service:shop/web');
    const by = { principal: WEB, workload: 'shop/web-1' };
    const items = [aDeny(by, 'policy-deny'), aDeny(by, 'policy-no-allow'), aDeny(by, 'policy-no-allow'), aDeny(by, 'path-rejected', 9090)];
    expect([...refusalsOf(aView(edge), items)]).toEqual([
      ['service:shop/web>service:pay/card:8080/http', [{ reason: 'policy-no-allow', count: 2 }, { reason: 'policy-deny', count: 1 }]],
    ]);
  });

  it('knows a stranger by its address, and an identity that several share by its name', () => {
    const edges = [anEdge('address:10.0.0.1'), anEdge('workload:shop/sa.shared')];
    const found = refusalsOf(aView(...edges), [aDeny({}, 'peer-not-verified'), aDeny({ principal: WEB, ip: '10.0.0.9' }, 'policy-deny')]);
    expect([...found.values()].map((each) => each.map(({ reason }) => reason))).toEqual([['peer-not-verified'], ['policy-deny']]);
  });

  it('finds the target by its workload where a port belongs to no service', () => {
    const item = aDeny({}, 'plaintext-refused');
    const bare = { ...item, destination: { ...item.destination, service: null } };
    expect(refusalsOf(aView(anEdge('address:10.0.0.1')), [bare]).size).toBe(1);
  });

  it('says nothing about an edge on which nothing was refused', () => {
    expect(refusalsOf(aView(anEdge('address:10.0.0.1', { failed: 0 })), [aDeny({}, 'policy-deny')]).size).toBe(0);
  });
});
