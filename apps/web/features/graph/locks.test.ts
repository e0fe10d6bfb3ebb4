import { describe, expect, it } from 'vitest';
import { lockSize, placeLocks, type Box, type Course } from './locks.ts';

const level: Course = { from: { x: 0, y: 0 }, middle: { x: 100, y: 0 }, to: { x: 200, y: 0 } };

function around(x: number, y: number, width: number, height: number): Box {
  return { x1: x - width / 2, y1: y - height / 2, x2: x + width / 2, y2: y + height / 2 };
}

describe('placeLocks', () => {
  it('puts a lock in the middle of its edge, also of a curved one', () => {
    expect(placeLocks([level], [], 1)).toEqual([{ x: 100, y: 0 }]);
    expect(placeLocks([{ ...level, middle: { x: 100, y: 20 } }], [], 1)).toEqual([{ x: 100, y: 20 }]);
  });

  it('follows a curve', () => {
    const bowed: Course = { ...level, middle: { x: 100, y: 20 } };
    const [at] = placeLocks([bowed], [around(100, 20, 30, 40)], 1);
    expect(at?.x).not.toBe(100);
    expect(at?.y).toBeGreaterThan(10);
    expect(at?.y).toBeLessThan(20);
  });

  it('moves it along the edge, off a name that is in the way', () => {
    const [at] = placeLocks([level], [around(100, 0, 40, 14)], 1);
    expect(at?.y).toBe(0);
    expect(Math.abs((at?.x ?? 100) - 100)).toBeGreaterThanOrEqual(20 + 6.5);
  });

  it('keeps locks of crossing edges apart', () => {
    const upright: Course = { from: { x: 100, y: -100 }, middle: { x: 100, y: 0 }, to: { x: 100, y: 100 } };
    const [first, second] = placeLocks([level, upright], [], 1);
    expect(first).toEqual({ x: 100, y: 0 });
    expect(Math.abs(second?.y ?? 0)).toBeGreaterThanOrEqual(12);
  });

  it('draws one all the same where there is no free place: there where it covers least', () => {
    const [at] = placeLocks([level], [around(100, 0, 400, 100), around(140, 0, 60, 14)], 1);
    expect(at?.x).toBeLessThan(110);
  });
});

describe('lockSize', () => {
  it('follows the zoom between bounds', () => {
    expect([0.1, 0.5, 1, 3].map(lockSize)).toEqual([0.4, 0.55, 1.1, 1.6]);
  });
});
