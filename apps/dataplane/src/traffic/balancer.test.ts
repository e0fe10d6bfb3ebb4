import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byHash, leastOfAll, leastOfTwo, levelFor, levelsOf } from './balancer.ts';
import { hashOf } from './hash.ts';
import { membersOf } from './member.ts';
import { endpoint, members, seeded } from './members.fixture.ts';

describe('the least of all', () => {
  it('is the least loaded; equals take turns', () => {
    const list = members(3);
    const [a, b, c] = list;
    expect([0, 1, 2, 3].map((turn) => leastOfAll(list, turn))).toEqual([a, b, c, a]);
    if (b) b.open = 1;
    if (c) c.open = 2;
    expect([0, 1, 2].map((turn) => leastOfAll(list, turn))).toEqual([a, a, a]);
    expect(leastOfAll([], 7)).toBeNull();
  });
});

describe('the least of two', () => {
  it('never takes the most loaded of more than one, and reaches all others', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 12 }), fc.integer(), (count, seed) => {
      const list = members(count);
      list.forEach((member, index) => {
        member.open = index;
      });
      const random = seeded(seed);
      const taken = new Set(Array.from({ length: 3000 }, () => leastOfTwo(list, random)));
      expect(taken.has(list[count - 1] ?? null)).toBe(false);
      expect(taken.size).toBe(count - 1);
    }), { numRuns: 50 });
  });

  it('keeps open calls nearly even when calls do not end', () => {
    const list = members(10);
    const random = seeded(1);
    for (let call = 0; call < 10_000; call += 1) {
      const member = leastOfTwo(list, random);
      if (member) member.open += 1;
    }
    const loads = list.map(({ open }) => open);
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThan(20);
  });

  it('takes the only one, none of none, and is not led astray by a 1 that never comes', () => {
    const list = members(1);
    expect(leastOfTwo(list, () => 0.5)).toBe(list[0]);
    expect(leastOfTwo([], () => 0)).toBeNull();
    expect(leastOfTwo(members(3), () => 1 - Number.EPSILON)).not.toBeNull();
  });
});

describe('the hash', () => {
  const keys = Array.from({ length: 20_000 }, (_, n) => hashOf(`user-${n}`));

  it('moves only the keys of a member that goes, whichever it is', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 50 }), fc.nat(), (count, which) => {
      const list = members(count);
      const gone = list[which % count];
      const left = list.filter((member) => member !== gone);
      for (const key of keys.slice(0, 500)) {
        const before = byHash(list, key);
        const after = byHash(left, key);
        expect(after === before).toBe(before !== gone);
      }
    }), { numRuns: 50 });
  });

  it.each([2, 3, 10, 50])('gives each of %i about its share, so that no more than that moves when one goes', (count) => {
    const list = members(count);
    const shares = Map.groupBy(keys, (key) => byHash(list, key));
    expect(shares.size).toBe(count);
    for (const mine of shares.values()) expect(mine.length).toBeLessThan((keys.length / count) * 1.3);
  });

  it('spreads what a lost member had over all that are left', () => {
    const list = members(5);
    const orphans = keys.filter((key) => byHash(list, key) === list[0]);
    const heirs = Map.groupBy(orphans, (key) => byHash(list.slice(1), key));
    expect(heirs.size).toBe(4);
    for (const inherited of heirs.values()) expect(inherited.length).toBeLessThan((orphans.length / 4) * 1.3);
  });

  it('does not depend on the order of members', () => {
    const list = members(7);
    for (const key of keys.slice(0, 200)) expect(byHash([...list].reverse(), key)).toBe(byHash(list, key));
    expect(byHash([], 1)).toBeNull();
  });
});

describe('levels', () => {
  const far = [endpoint(0, 'north', 'n1'), endpoint(1, 'north', 'n2'), endpoint(2, 'south', 's1'), endpoint(3)];
  const names = (own?: { region: string; zone?: string }) => levelsOf(membersOf(far, []), own).map((level) => level.map(({ endpoint: each }) => each.workload));

  it('are zone, region and the rest; who says nothing is far', () => {
    expect(names({ region: 'north', zone: 'n1' })).toEqual([['w0'], ['w1'], ['w2', 'w3']]);
    expect(names({ region: 'south', zone: 's9' })).toEqual([['w2'], ['w0', 'w1', 'w3']]);
    expect(names({ region: 'west' })).toEqual([['w0', 'w1', 'w2', 'w3']]);
    expect(names()).toEqual([['w0', 'w1', 'w2', 'w3']]);
  });

  /** Share of each level, by even draws. */
  function shares(sizes: number[], healthy: number[], factor = 1.4): number[] {
    const levels = sizes.map((size) => members(size));
    const counts = sizes.map(() => 0);
    for (let draw = 0; draw < 1000; draw += 1) {
      const level = levelFor(levels, healthy, factor, (draw + 0.5) / 1000);
      counts[level] = (counts[level] ?? 0) + 1;
    }
    return counts.map((count) => count / 10);
  }

  it('spill over as Envoy’s table of priority levels says', () => {
    // "Priority Level load calculation" of Envoy's documentation: P=0 healthy of 100 % and the traffic it gets.
    expect(shares([100, 100], [100, 100])).toEqual([100, 0]);
    expect(shares([100, 100], [72, 100])).toEqual([100, 0]);
    expect(shares([100, 100], [71, 100])).toEqual([99.4, 0.6]);
    expect(shares([100, 100], [50, 100])).toEqual([70, 30]);
    expect(shares([100, 100], [0, 100])).toEqual([0, 100]);
    expect(shares([100, 100], [25, 25])).toEqual([50, 50]);
  });

  it('never give a call to a level without anybody in use, as long as one has', () => {
    const level = fc.integer({ min: 1, max: 20 }).chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 0, max: size })));
    const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(fc.property(fc.array(level, { minLength: 1, maxLength: 3 }), draw, (levels, at) => {
      const healthy = levels.map(([, count]) => count);
      const chosen = levelFor(levels.map(([size]) => members(size)), healthy, 1.4, at);
      expect((healthy[chosen] ?? 0) > 0).toBe(healthy.some((count) => count > 0));
    }));
  });
});
