import { describe, expect, it } from 'vitest';
import { type CleanFacts, cleanDays } from './clean.ts';

const DAY = 86_400_000;
const NOW = 100 * DAY;
const facts = (change: Partial<CleanFacts> = {}): CleanFacts => ({
  coveredSince: new Map([['a', NOW - 9 * DAY], ['b', NOW - 4 * DAY]]),
  lastPlaintext: new Map(),
  lastCritical: new Map(),
  ...change,
});

describe('cleanDays', () => {
  it('is as long as the shortest unbroken coverage of the serving proxies', () => {
    expect(cleanDays(facts(), 'shop', ['a'], NOW)).toBe(9);
    expect(cleanDays(facts(), 'shop', ['a', 'b'], NOW)).toBe(4);
  });

  it('starts again after plaintext or a critical signal in that namespace', () => {
    expect(cleanDays(facts({ lastPlaintext: new Map([['shop', NOW - 2 * DAY]]) }), 'shop', ['a'], NOW)).toBe(2);
    expect(cleanDays(facts({ lastPlaintext: new Map([['other', NOW]]) }), 'shop', ['a'], NOW)).toBe(9);
    expect(cleanDays(facts({ lastCritical: new Map([['shop', NOW]]) }), 'shop', ['a'], NOW)).toBe(0);
  });

  it('is not known without a proxy, or when one does not report', () => {
    expect(cleanDays(facts(), 'shop', [], NOW)).toBeNull();
    expect(cleanDays(facts(), 'shop', ['a', 'silent'], NOW)).toBeNull();
  });
});
