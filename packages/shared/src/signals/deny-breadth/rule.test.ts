import { describe, expect, it } from 'vitest';
import { aSignalInput, denials } from '../../testing/index.ts';
import { denyBreadth } from './rule.ts';

const targets = ['a', 'b', 'c', 'd', 'e'].map((name) => `pay/${name}`);

describe('denyBreadth', () => {
  it('needs five different destinations that denied one source', () => {
    expect(denyBreadth(aSignalInput({ denies: [...denials(30), ...targets.slice(0, 3).flatMap((to) => denials(1, to))] }))).toEqual([]);
    expect(denyBreadth(aSignalInput({ denies: targets.flatMap((to) => denials(2, to)) }))).toMatchObject([
      { key: 'deny-breadth:spiffe://shop.test/ns/shop/sa/web', count: 10, namespace: 'pay', techniques: ['T1046', 'T1613'] },
    ]);
  });

  it('forgets what was more than ten minutes ago, and names no namespace when there were several', () => {
    expect(denyBreadth(aSignalInput({ denies: targets.flatMap((to) => denials(1, to, 601_000)) }))).toEqual([]);
    const mixed = [...targets.slice(1), 'shop/cart'].flatMap((to) => denials(1, to));
    expect(denyBreadth(aSignalInput({ denies: mixed }))).toMatchObject([{ namespace: null }]);
  });
});
