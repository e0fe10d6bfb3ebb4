import { describe, expect, it } from 'vitest';
import { aSignalInput, NOW } from '../../testing/index.ts';
import { overdueAt, rotationOverdue } from './rule.ts';

const HOUR = 3_600_000;
const svid = (age: number, lifetime = 24 * HOUR) => ({
  spiffeId: 'spiffe://shop.test/ns/shop/sa/web', proxy: 'node-a', notBefore: NOW - age, notAfter: NOW - age + lifetime,
});
const found = (...svids: ReturnType<typeof svid>[]) => rotationOverdue(aSignalInput({ svids }));

describe('rotationOverdue', () => {
  it('leaves every healthy age alone: half the lifetime, its spread and the grace', () => {
    expect(overdueAt({ notBefore: 0, notAfter: 24 * HOUR })).toBe(13.2 * HOUR + 600_000);
    expect(found(svid(13.3 * HOUR))).toEqual([]);
    expect(found(svid(13.4 * HOUR))).toMatchObject([{ severity: 'warning', namespace: 'shop', subject: 'spiffe://shop.test/ns/shop/sa/web' }]);
  });

  it('scales the grace with short lifetimes', () => {
    expect(found(svid(155_000, 240_000))).toEqual([]);
    expect(found(svid(157_000, 240_000))).toHaveLength(1);
  });

  it('is critical once expired, and looks only at the newest of an identity on a proxy', () => {
    expect(found(svid(25 * HOUR))).toMatchObject([{ severity: 'critical', title: 'Certificate expired' }]);
    expect(found(svid(25 * HOUR), svid(HOUR), svid(20 * HOUR))).toEqual([]);
  });
});
