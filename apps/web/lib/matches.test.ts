import { describe, expect, it } from 'vitest';
import { matches } from './matches.ts';

describe('matches', () => {
  const row = { source: { principal: 'spiffe://shop/ns/a/sa/web' }, port: 8080, policy: null };
  it('wants every word somewhere, whatever the case', () => {
    expect(matches(row, '')).toBe(true);
    expect(matches(row, 'WEB 8080')).toBe(true);
    expect(matches(row, 'web 9090')).toBe(false);
    expect(matches(row, 'null')).toBe(false);
  });
});
