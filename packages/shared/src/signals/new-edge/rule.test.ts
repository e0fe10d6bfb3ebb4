import { describe, expect, it } from 'vitest';
import { edgeIdentity } from '../../graph/index.ts';
import { aFlow, aSignalInput, NOW } from '../../testing/index.ts';
import { newEdge } from './rule.ts';

function found(flow: ReturnType<typeof aFlow>, age = 60_000) {
  return newEdge(aSignalInput({ flows: [flow], firstSeen: new Map([[edgeIdentity(flow), NOW - age]]) }));
}

describe('newEdge', () => {
  it('reports an undeclared edge in its first ten minutes', () => {
    expect(found(aFlow('shop/web', 'pay/card'))).toMatchObject([{ kind: 'new-edge', severity: 'warning', count: 10, namespace: 'pay' }]);
    expect(found(aFlow('shop/web', 'pay/card'), 600_000)).toEqual([]);
  });

  it('keeps quiet about declared edges, the callers own counts, fewer than three calls, and edges of unknown age', () => {
    expect(found(aFlow('shop/web', 'shop/cart'))).toEqual([]);
    expect(found(aFlow('shop/web', 'pay/card', { side: 'outbound' }))).toEqual([]);
    expect(found(aFlow('shop/web', 'pay/card', { count: 2 }))).toEqual([]);
    expect(newEdge(aSignalInput({ flows: [aFlow('shop/web', 'pay/card')] }))).toEqual([]);
  });

  it('names misuse of a credential only where a credential was used', () => {
    expect(found(aFlow('shop/web', 'pay/card'))).toMatchObject([{ techniques: ['T1550.001'] }]);
    expect(found(aFlow('shop/web', 'pay/card', { source: { principal: null }, mtls: 'plaintext' }))).toMatchObject([{ severity: 'warning', techniques: [] }]);
  });

  it('links to the edge by the name that the graph gives it', () => {
    const edge = encodeURIComponent('service:shop/web>service:pay/card:8080/http');
    expect(found(aFlow('shop/web', 'pay/card'))).toMatchObject([{ link: `/graph?edge=${edge}` }]);
  });

  it('is information when everything was refused', () => {
    expect(found(aFlow('shop/web', 'pay/card', { verdict: 'denied' }))).toMatchObject([{ severity: 'info' }]);
  });
});
