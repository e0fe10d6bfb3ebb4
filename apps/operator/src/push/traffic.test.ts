import { API_VERSION, KINDS, type Service, type TrafficPolicy } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { rulingPolicies, trafficEntries } from './traffic.ts';

const policy = (name: string, born: string, ...targets: string[]): TrafficPolicy => KINDS.TrafficPolicy.schema.parse({
  apiVersion: API_VERSION, kind: 'TrafficPolicy', metadata: { name, namespace: 'shop', creationTimestamp: `2026-01-0${born}T00:00:00Z` }, spec: { targetRefs: targets.map((target) => ({ kind: 'Service', name: target })) },
});
const service = (name: string, namespace = 'shop'): Service => KINDS.Service.schema.parse({ apiVersion: API_VERSION, kind: 'Service', metadata: { name, namespace }, spec: { selector: {}, ports: [{ port: 80 }] } });
const rulers = (...policies: TrafficPolicy[]) => Object.fromEntries([...rulingPolicies(policies)].map(([key, { metadata }]) => [key, metadata.name]));

describe('of several policies for a Service', () => {
  it('the oldest rules, in whatever order they come', () => {
    const [old, young] = [policy('z', '1', 'api', 'web'), policy('a', '2', 'api', 'ledger')];
    const expected = { 'shop/api': 'z', 'shop/web': 'z', 'shop/ledger': 'a' };
    expect(rulers(old, young)).toEqual(expected);
    expect(rulers(young, old)).toEqual(expected);
  });

  it('of the same age the first by name rules', () => {
    expect(rulers(policy('b', '1', 'api'), policy('a', '1', 'api'))).toEqual({ 'shop/api': 'a' });
  });
});

it('a proxy gets each policy with the existing Services that it rules, and none that rules nothing', () => {
  const policies = [policy('first', '1', 'web', 'api', 'api', 'gone'), policy('second', '2', 'api', 'ledger'), policy('third', '3', 'api')];
  const entries = trafficEntries(policies, [service('api'), service('web'), service('ledger'), service('gone', 'other')], (each) => each);
  expect(entries.map(([name, entry]) => [name, entry.type === 'traffic' && entry.value.services])).toEqual([
    ['traffic/shop/first', ['api', 'web']],
    ['traffic/shop/second', ['ledger']],
  ]);
});
