import { describe, expect, it } from 'vitest';
import { aSignalInput, denials } from '../../testing/index.ts';
import { denyBurst } from './rule.ts';

const kinds = (...denies: ReturnType<typeof denials>[]) => denyBurst(aSignalInput({ denies: denies.flat() }));

describe('denyBurst', () => {
  it('needs twenty denials of one source in five minutes', () => {
    expect(kinds(denials(19))).toEqual([]);
    expect(kinds(denials(20))).toMatchObject([
      { key: 'deny-burst:spiffe://shop.test/ns/shop/sa/web', severity: 'critical', count: 20, namespace: 'pay', at: denials(1)[0]?.at },
    ]);
  });

  it('does not add up sources, nor denials older than five minutes', () => {
    const other = denials(10).map((event) => Object.assign(event, { source: { principal: null, ip: '192.0.2.1' } }));
    expect(kinds(denials(10), other)).toEqual([]);
    expect(kinds(denials(10), denials(10, 'pay/card', 301_000))).toEqual([]);
  });

  it('stays quiet about a source that is always denied that often', () => {
    const usual = denials(20, 'pay/card', 301_000);
    expect(kinds(denials(29), usual)).toEqual([]);
    expect(kinds(denials(30), usual)).toHaveLength(1);
  });
});
