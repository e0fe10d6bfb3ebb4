import { describe, expect, it } from 'vitest';
import { panFor } from './viewport.ts';

describe('panFor', () => {
  const frame = { length: 360, margin: 10 };

  it('centres what fits', () => {
    expect(panFor(frame, { from: 0, to: 100 }, 90)).toBe(130);
  });

  it('puts a point of what does not fit into the middle, but shows nothing beyond its ends', () => {
    const drawn = { from: 100, to: 1100 };
    expect(panFor(frame, drawn, 600)).toBe(180 - 600);
    expect(panFor(frame, drawn, 120)).toBe(10 - 100);
    expect(panFor(frame, drawn, 1090)).toBe(350 - 1100);
  });
});
