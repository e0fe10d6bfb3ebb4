import { coverageView, type CoverageView } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { coverageLabel, hasGaps, protectionOf } from './protection.ts';

const NOW = '2026-01-15T12:00:00.000Z';
const EARLIER = '2026-01-15T11:59:00.000Z';

describe('protectionOf', () => {
  it('locks only when every call was mutual TLS, there was one, and nobody was silent', () => {
    expect(protectionOf({ mutual: 7, plaintext: 0, unknown: 0 }, false)).toEqual({ state: 'locked', label: '100 % mTLS' });
    for (const calls of [
      { mutual: 0, plaintext: 0, unknown: 0 },
      { mutual: 7, plaintext: 1, unknown: 0 },
      { mutual: 1_000_000, plaintext: 1, unknown: 0 },
      { mutual: 7, plaintext: 0, unknown: 1 },
      { mutual: 0, plaintext: 3, unknown: 0 },
      { mutual: 0, plaintext: 0, unknown: 3 },
    ]) {
      expect(protectionOf(calls, false).state).not.toBe('locked');
      expect(protectionOf(calls, false).label).not.toContain('100 % mTLS');
    }
    expect(protectionOf({ mutual: 7, plaintext: 0, unknown: 0 }, true).state).toBe('unknown');
  });

  it('gives the figure for anything less', () => {
    expect(protectionOf({ mutual: 82, plaintext: 18, unknown: 0 }, false)).toEqual({ state: 'partial', label: '82 % mTLS · 18 % plaintext' });
    expect(protectionOf({ mutual: 82, plaintext: 18, unknown: 0 }, true).label).toBe('82 % mTLS · 18 % plaintext; reports missing');
    expect(protectionOf({ mutual: 0, plaintext: 3, unknown: 0 }, false)).toEqual({ state: 'plaintext', label: '100 % plaintext' });
    expect(protectionOf({ mutual: 0, plaintext: 0, unknown: 3 }, false).state).toBe('unknown');
  });

  it('says that silence is unknown', () => {
    expect(protectionOf({ mutual: 0, plaintext: 0, unknown: 0 }, false)).toEqual({ state: 'unknown', label: 'unknown, no calls' });
    expect(protectionOf({ mutual: 0, plaintext: 0, unknown: 0 }, true)).toEqual({ state: 'unknown', label: 'unknown, no data' });
  });
});

describe('coverage', () => {
  const full: CoverageView = coverageView.parse({
    proxiesExpected: 1,
    proxiesReporting: 1,
    share: 1,
    since: null,
    proxies: [{ name: 'node-a', share: 1, lastReport: NOW, live: true, gaps: [] }],
  });

  it('has gaps whenever anyone was or is silent, and when there is nobody to speak', () => {
    expect(hasGaps(full)).toBe(false);
    expect(hasGaps({ ...full, share: 0.999 })).toBe(true);
    expect(hasGaps({ ...full, proxiesReporting: 0 })).toBe(true);
    expect(hasGaps({ ...full, proxies: full.proxies.map((proxy) => ({ ...proxy, live: false })) })).toBe(true);
    expect(hasGaps({ ...full, proxies: full.proxies.map((proxy) => ({ ...proxy, gaps: [{ from: EARLIER, to: NOW }] })) })).toBe(true);
    expect(hasGaps({ proxiesExpected: 0, proxiesReporting: 0, share: null, since: null, proxies: [] })).toBe(true);
  });

  it('is put in words', () => {
    expect(coverageLabel(full)).toBe('1 of 1 proxy · 100 % of the window');
    const window = { from: '2026-01-15T11:00:00.000Z', to: '2026-01-15T11:15:00.000Z' };
    expect(coverageLabel({ ...full, since: window.from }, window)).toBe('1 of 1 proxy · 100 % of the window');
    expect(coverageLabel({ ...full, since: '2026-01-15T11:13:00.000Z' }, window)).toBe('1 of 1 proxy · 100 % of the 2 min observed');
    expect(coverageLabel({ ...full, share: null })).toBe('1 of 1 proxy · nothing of the window');
    expect(coverageLabel({ proxiesExpected: 0, proxiesReporting: 0, share: null, since: null, proxies: [] })).toContain('nothing is known');
  });
});
