import { describe, expect, it } from 'vitest';
import { aFlow, aSignalInput, NOW } from '../../testing/index.ts';
import { plaintextAfterStrict } from './rule.ts';

const plain = { mtls: 'plaintext', source: { principal: null, ip: '192.0.2.7' } } as const;
const refused = { ...plain, verdict: 'denied', reason: 'plaintext-refused' } as const;
function found(flow: ReturnType<typeof aFlow>, since: number, mode: 'STRICT' | 'PERMISSIVE' = 'STRICT') {
  return plaintextAfterStrict(aSignalInput({ flows: [flow], modes: () => ({ mode, since }) }));
}

describe('plaintextAfterStrict', () => {
  it('is critical when strict let plaintext through', () => {
    expect(found(aFlow('x/x', 'shop/cart', plain), NOW - 600_000)).toMatchObject([
      { severity: 'critical', subject: '192.0.2.7', namespace: 'shop', count: 10, title: 'Strict shop/cart:8080 accepted plaintext' },
    ]);
  });

  it('is a warning when it was refused', () => {
    expect(found(aFlow('x/x', 'shop/cart', refused), NOW - 30_000)).toMatchObject([{ severity: 'warning' }]);
  });

  it('waits a minute for proxies to obey, and proves only the last call of a count that began before', () => {
    expect(found(aFlow('x/x', 'shop/cart', plain), NOW - 30_000)).toEqual([]);
    const older = aFlow('x/x', 'shop/cart', { ...plain, firstSeen: NOW - 700_000 });
    expect(found(older, NOW - 600_000)).toMatchObject([{ count: 1 }]);
  });

  it('is silent about permissive ports, mTLS and what was long ago', () => {
    expect(found(aFlow('x/x', 'shop/cart', plain), 0, 'PERMISSIVE')).toEqual([]);
    expect(found(aFlow('shop/web', 'shop/cart'), 0)).toEqual([]);
    expect(found(aFlow('x/x', 'shop/cart', { ...plain, lastSeen: NOW - 900_000 }), 0)).toEqual([]);
    expect(plaintextAfterStrict(aSignalInput({ flows: [aFlow('x/x', 'shop/cart', plain)], modes: () => null }))).toEqual([]);
  });
});
