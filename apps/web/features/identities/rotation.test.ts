import type { CaCertificate } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { acknowledgements, chainOf, families, followText, missedRotation, nextRotation, shortName, stagesOf, stepName, successorOf, waitingFor } from './rotation.ts';

const AT = '2026-01-15T12:00:00.000Z';

function entry(id: string, changes: Partial<CaCertificate> = {}): CaCertificate {
  return {
    id, role: 'root', root: id, parent: 'selfSigned', state: 'active', since: AT, subject: `name of ${id}`, fingerprint: 'AA:BB', notBefore: AT, notAfter: AT,
    lifetimeUsed: 0.1, inBundle: true, sequence: 7, next: null, pem: '', chain: [], ...changes,
  };
}

describe('stagesOf', () => {
  it('puts a root at its state, with what is behind and ahead', () => {
    expect(stagesOf({ role: 'root', state: 'active' }).map(({ state, progress }) => `${state} ${progress}`)).toEqual(['prepared done', 'published done', 'active now', 'old ahead', 'removed ahead']);
  });

  it('has no publication of an issuer', () => {
    expect(stagesOf({ role: 'issuer', state: 'prepared' }).map(({ progress }) => progress)).toEqual(['now', 'skipped', 'ahead', 'ahead', 'ahead']);
  });
});

describe('the next step', () => {
  const waits = (waitsFor: string[]) => entry('b', { state: 'published', next: { step: 'activate', at: null, waitsFor } });

  it('names the proxies that it waits for before anything else', () => {
    expect(stepName(waits([]))).toBe('activate it');
    expect(waitingFor(waits(['node-1', 'node-2']), 'manual')).toBe('waits for node-1, node-2');
  });

  it('waits for a person only where activation is manual', () => {
    expect(waitingFor(waits([]), 'manual')).toContain('somebody');
    expect(waitingFor(waits([]), 'automatic')).not.toContain('somebody');
    expect(stepName(entry('a'))).toBeNull();
  });

  it('of a certificate without one is what it follows', () => {
    const waiting = entry('i', { role: 'issuer', root: 'b', state: 'prepared' });
    expect(followText(waiting, [entry('b', { state: 'published' })])).toContain('its root is activated');
    expect(followText(waiting, [entry('b')])).toContain('takes over');
    expect([entry('a'), entry('a', { state: 'removed' }), { ...waiting, state: 'active' as const }].map((each) => followText(each, []))).toEqual(['old as soon as its successor is activated', 'none', 'goes with its root']);
  });
});

describe('families', () => {
  it('puts issuers below their roots, and nothing that was removed', () => {
    const issuer = entry('i', { role: 'issuer', root: 'b' });
    const certificates = [issuer, entry('b', { state: 'published' }), entry('a'), entry('z', { state: 'removed' })];
    expect(families({ certificates }).map(({ root, issuers }) => [root.id, ...issuers.map(({ id }) => id)])).toEqual([['b', 'i'], ['a']]);
    expect(successorOf({ certificates })?.id).toBe('b');
    expect(successorOf({ certificates: [entry('a')] })).toBeNull();
  });
});

describe('acknowledgements', () => {
  it('puts those that lag first, and leaves out who holds no SVID that is valid', () => {
    const ca = { lagging: [{ proxy: 'slow', acknowledged: null }], bundle: { sequence: 9, roots: 2, refreshHint: 300 } };
    const svids = [{ proxy: 'fast', state: 'served' }, { proxy: 'fast', state: 'recorded' }, { proxy: 'slow', state: 'served' }, { proxy: 'gone', state: 'expired' }] as const;
    expect(acknowledgements(ca, svids)).toEqual([{ proxy: 'slow', bundle: null, lags: true }, { proxy: 'fast', bundle: 9, lags: false }]);
  });
});

describe('SVIDs', () => {
  it('lead to issuer and root where these are listed', () => {
    const certificates = [entry('i', { role: 'issuer', root: 'a' }), entry('a')];
    expect(chainOf('name of i', certificates)).toMatchObject({ issuer: { id: 'i' }, root: { id: 'a' } });
    expect(chainOf('name of a', certificates)).toEqual({ issuer: null, root: null });
  });

  it('are signed by names that lose the trust domain, but no other beginning', () => {
    expect([shortName('shop.demo root 1', 'shop.demo'), shortName('shop.demos root 1', 'shop.demo'), shortName('Corporate CA', 'shop.demo')]).toEqual(['root 1', 'shop.demos root 1', 'Corporate CA']);
  });

  it('count as rotated next only when no rotation was missed', () => {
    const svids = [{ state: 'overdue', nextRotation: '2026-01-15T11:00:00.000Z' }, { state: 'served', nextRotation: '2026-01-15T13:00:00.000Z' }, { state: 'recorded', nextRotation: '2026-01-15T12:30:00.000Z' }] as const;
    expect(svids.map(missedRotation)).toEqual([true, false, false]);
    expect(nextRotation(svids)).toBe('2026-01-15T12:30:00.000Z');
    expect(nextRotation([])).toBeNull();
  });
});
