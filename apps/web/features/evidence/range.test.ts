import { describe, expect, it } from 'vitest';
import { rangeOf } from './range.ts';

const NOW = Date.parse('2026-01-15T12:00:00.000Z');

describe('rangeOf', () => {
  it('ends a ready-made range now', () => {
    expect(rangeOf('1h', '', '', NOW)).toEqual({ from: '2026-01-15T11:00:00.000Z', to: '2026-01-15T12:00:00.000Z' });
  });

  it('takes a range of its own and refuses one that is none', () => {
    expect(rangeOf('custom', '2026-01-14T00:00Z', '2026-01-15T00:00Z', NOW)).toEqual({ from: '2026-01-14T00:00:00.000Z', to: '2026-01-15T00:00:00.000Z' });
    for (const [from, to] of [['', ''], ['2026-01-15T00:00Z', '2026-01-14T00:00Z'], ['2027-01-01T00:00Z', '2027-01-02T00:00Z'], ['2025-01-01T00:00Z', '2026-01-01T00:00Z']] as const) {
      expect(rangeOf('custom', from, to, NOW)).toHaveProperty('problem');
    }
  });
});
