import { describe, expect, it } from 'vitest';
import { NOW, WINDOW } from '../testing/index.ts';
import { coverageOf, type CoverageInput } from './index.ts';

const enrolledAt = WINDOW.from - 1000;
function coverage(changes: Partial<CoverageInput>) {
  return coverageOf({
    window: WINDOW,
    now: NOW,
    proxies: [{ name: 'a', lastReport: NOW - 1000, enrolledAt }],
    intervals: [],
    expectedProxies: ['a'],
    ...changes,
  });
}

describe('coverageOf', () => {
  it('is full when the proxy reported up to a moment ago: the next report is not late yet', () => {
    const view = coverage({ intervals: [{ proxy: 'a', from: WINDOW.from - 5000, to: NOW - 2000 }] });
    expect(view).toMatchObject({ share: 1, proxiesExpected: 1, proxiesReporting: 1 });
    expect(view.proxies[0]).toMatchObject({ share: 1, live: true, gaps: [] });
  });

  it('says since when anybody looked: the start of the window, or the first enrolment after it', () => {
    expect(coverage({}).since).toBe(new Date(WINDOW.from).toISOString());
    const late = [{ name: 'a', lastReport: NOW - 1000, enrolledAt: NOW - 120_000 }, { name: 'b', lastReport: NOW - 1000, enrolledAt: NOW - 60_000 }];
    expect(coverage({ proxies: late, expectedProxies: ['a', 'b'] }).since).toBe(new Date(NOW - 120_000).toISOString());
    expect(coverage({ expectedProxies: [] }).since).toBeNull();
  });

  it('shows an inner gap exactly, and overlapping stretches once', () => {
    const view = coverage({
      intervals: [
        { proxy: 'a', from: NOW - 300_000, to: NOW },
        { proxy: 'a', from: WINDOW.from, to: NOW - 600_000 },
        { proxy: 'a', from: WINDOW.from, to: NOW - 700_000 },
      ],
    });
    expect(view.share).toBeCloseTo(2 / 3, 10);
    expect(view.proxies[0]?.gaps).toEqual([{ from: '2026-01-15T11:50:00.000Z', to: '2026-01-15T11:55:00.000Z' }]);
  });

  it('counts a silence longer than 15 s as a gap from its beginning, and the proxy as not live', () => {
    const view = coverage({
      proxies: [{ name: 'a', lastReport: NOW - 60_000, enrolledAt }],
      intervals: [{ proxy: 'a', from: WINDOW.from, to: NOW - 60_000 }],
    });
    expect(view.proxiesReporting).toBe(0);
    expect(view.proxies[0]).toMatchObject({ live: false, share: 1 - 60 / 900 });
  });

  it('expects nothing before enrolment, nor in the first 15 s after it', () => {
    const enrolled = NOW - 100_000;
    const proxies = [{ name: 'a', lastReport: NOW, enrolledAt: enrolled }];
    expect(coverage({ proxies, intervals: [{ proxy: 'a', from: enrolled + 4000, to: NOW }] }).share).toBe(1);
    expect(coverage({ proxies, intervals: [{ proxy: 'a', from: enrolled + 20_000, to: NOW }] }).share).toBe(0.8);
  });

  it('gives a proxy that never enrolled, or never reported, no share at all', () => {
    const never = coverage({ proxies: [] });
    expect(never).toMatchObject({ share: 0, proxiesExpected: 1, proxiesReporting: 0 });
    expect(never.proxies[0]).toMatchObject({ lastReport: null, live: false, share: 0 });
    const silent = coverage({ proxies: [{ name: 'a', lastReport: null, enrolledAt: NOW - 3000 }] });
    expect(silent.proxies[0]).toMatchObject({ share: 0, live: false });
    expect(coverage({ proxies: [{ name: 'a', lastReport: null, enrolledAt: NOW }] }).share).toBe(0);
  });

  it('weighs proxies by the time they owe, and knows nothing when none is expected', () => {
    const view = coverage({
      proxies: [
        { name: 'a', lastReport: NOW, enrolledAt },
        { name: 'b', lastReport: null, enrolledAt: NOW - 100_000 },
      ],
      intervals: [{ proxy: 'a', from: WINDOW.from, to: NOW }],
      expectedProxies: ['b', 'a', 'a'],
    });
    expect(view.share).toBe(0.9);
    expect(view.proxies.map((proxy) => proxy.name)).toEqual(['a', 'b']);
    expect(coverage({ expectedProxies: [] })).toMatchObject({ share: null, proxiesExpected: 0 });
  });

  it('judges a past window by that window, without the proxies that came later', () => {
    const past = { from: NOW - 7_200_000, to: NOW - 3_600_000 };
    const view = coverage({
      window: past,
      proxies: [
        { name: 'a', lastReport: past.to - 1, enrolledAt: 0 },
        { name: 'later', lastReport: NOW, enrolledAt: NOW - 1000 },
      ],
      intervals: [{ proxy: 'a', ...past }],
      expectedProxies: ['a', 'later'],
    });
    expect(view).toMatchObject({ share: 1, proxiesExpected: 1, proxiesReporting: 1 });
  });
});
