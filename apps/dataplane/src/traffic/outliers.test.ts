import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Member } from './member.ts';
import { members } from './members.fixture.ts';
import { Outliers } from './outliers.ts';
import type { OutlierRules } from './rules.ts';

const RULES: OutlierRules = { failures: 3, interval: 10_000, base: 30_000, maxEjected: 0.5, minHealthy: 0 };
const first = (list: readonly Member[]): Member => {
  const [member] = list;
  if (!member) throw new Error('empty');
  return member;
};
function start(count: number, rules: Partial<OutlierRules> = {}) {
  const list = members(count);
  const outliers = new Outliers({ ...RULES, ...rules }, list);
  const fail = (member: Member, now: number, times = 3) => Array.from({ length: times }, () => outliers.record(member, list, true, now)).at(-1);
  return { list, outliers, fail, inUse: (now: number) => outliers.inUse(list, now).length };
}

describe('an outlier', () => {
  it('is out after failures in a row, and only in a row', () => {
    const { list, outliers, fail } = start(2);
    const member = first(list);
    expect(fail(member, 0, 2)).toBe(false);
    outliers.record(member, list, false, 0);
    expect(fail(member, 0, 2)).toBe(false);
    expect(outliers.inUse(list, 0)).toBe(list);
    expect(fail(member, 0, 1)).toBe(true);
    expect(outliers.inUse(list, 0)).toEqual([list[1]]);
  });

  it('is out for longer each time, up to five minutes, and for less after good conduct', () => {
    const { list, fail } = start(2);
    const member = first(list);
    const lengths: number[] = [];
    let now = 0;
    for (let time = 0; time < 12; time += 1) {
      expect(fail(member, now)).toBe(true);
      lengths.push(member.ejectedUntil - now);
      now = member.ejectedUntil;
    }
    expect(lengths.slice(0, 3)).toEqual([30_000, 60_000, 90_000]);
    expect(lengths.slice(-2)).toEqual([300_000, 300_000]);
    // Eleven intervals later one ejection is left to count, and the next one is the second.
    now += 110_000;
    fail(member, now);
    expect(member.ejectedUntil - now).toBe(60_000);
    now = member.ejectedUntil + 1_000_000;
    fail(member, now);
    expect(member.ejectedUntil - now).toBe(30_000);
  });

  it('is in use again when its time is over, and not before', () => {
    const { list, fail, inUse } = start(3);
    fail(first(list), 1000);
    expect([1000, 30_999, 31_000].map(inUse)).toEqual([2, 2, 3]);
  });

  it('is remembered by a new configuration', () => {
    const { list, fail } = start(3);
    fail(first(list), 0);
    expect(new Outliers(RULES, list).inUse(list, 10)).toHaveLength(2);
  });

  it('is called after all when too few would be left', () => {
    const { list, outliers, fail, inUse } = start(4, { minHealthy: 0.75 });
    fail(first(list), 0);
    expect(inUse(0)).toBe(3);
    fail(list[1] ?? first(list), 0);
    expect(outliers.inUse(list, 0)).toBe(list);
  });
});

it('never are more out than the policy says, and one is always in use', () => {
  const step = fc.record({ member: fc.nat(), failed: fc.boolean(), wait: fc.constantFrom(0, 1, 1000, 30_000, 500_000) });
  fc.assert(fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 100 }), fc.array(step, { maxLength: 300 }), (count, percent, steps) => {
    const { list, outliers, inUse } = start(count, { failures: 1, maxEjected: percent / 100 });
    let now = 0;
    for (const { member, failed, wait } of steps) {
      now += wait;
      outliers.record(list[member % count] ?? first(list), list, failed, now);
      const out = count - inUse(now);
      expect(out).toBeLessThanOrEqual(Math.floor((percent * count) / 100));
      expect(out).toBeLessThan(count);
    }
  }));
});
