import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Breaker, type Place } from './breaker.ts';

const none = () => undefined;

describe('a breaker', () => {
  it('lets in what is within the limit, has others wait in their order, and refuses the rest', () => {
    const breaker = new Breaker({ open: 2, pending: 2 });
    const turns: string[] = [];
    const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => breaker.enter(() => turns.push(name)));
    expect([a, b, c, d].map((place) => place?.waiting)).toEqual([false, false, true, true]);
    expect(e).toBeNull();
    a?.leave();
    a?.leave();
    expect(turns).toEqual(['c']);
    b?.leave();
    expect(turns).toEqual(['c', 'd']);
    expect([breaker.open, breaker.pending]).toEqual([2, 0]);
  });

  it('forgets who stops waiting', () => {
    const breaker = new Breaker({ open: 1, pending: 1 });
    const first = breaker.enter(none);
    breaker.enter(() => expect.unreachable())?.leave();
    expect(breaker.enter(none)?.waiting).toBe(true);
    first?.leave();
    expect(breaker.open).toBe(1);
  });

  it('lets in who waits when the limit is raised, and puts nobody out when it is lowered', () => {
    const breaker = new Breaker({ open: 1, pending: 5 });
    const places = [1, 2, 3].map(() => breaker.enter(none));
    breaker.update({ open: 3, pending: 5 });
    expect(places.every((place) => place?.waiting === false)).toBe(true);
    breaker.update({ open: 1, pending: 0 });
    expect(breaker.open).toBe(3);
    expect(breaker.enter(none)).toBeNull();
  });

  it('has a place again for who comes in the turn of another', () => {
    const breaker = new Breaker({ open: 1, pending: 2 });
    const first = breaker.enter(none);
    let second: Place | null = null;
    second = breaker.enter(() => second?.leave());
    const third = breaker.enter(none);
    first?.leave();
    expect([breaker.open, breaker.pending, third?.waiting]).toEqual([1, 0, false]);
  });
});

it('never has more open or waiting than its limits, and nobody waits while there is room', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 5 }), fc.nat({ max: 5 }), fc.array(fc.option(fc.nat()), { maxLength: 200 }), (open, pending, steps) => {
    const breaker = new Breaker({ open, pending });
    const places: Place[] = [];
    for (const step of steps) {
      const entered = step === null ? breaker.enter(none) : null;
      if (entered) places.push(entered);
      if (step !== null) places.splice(step % (places.length + 1), 1)[0]?.leave();
      expect(breaker.open).toBe(Math.min(open, places.length));
      expect(breaker.pending).toBe(Math.max(0, places.length - open));
      expect(breaker.pending).toBeLessThanOrEqual(pending);
    }
  }));
});
