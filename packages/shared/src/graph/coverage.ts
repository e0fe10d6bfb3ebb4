import type { CoverageView, WindowView } from '../api/index.ts';
import type { CoverageInterval, Window } from '../mesh/index.ts';
import type { CoverageInput, ProxyFact } from './types.ts';

/** Reports come every 2 s; a proxy that has been silent for longer than this (ms) is not live and leaves a gap. */
export const FRESH_MS = 15_000;

type ProxyCoverage = CoverageView['proxies'][number];
interface Measured {
  readonly view: ProxyCoverage;
  /** From when it owed telemetry, ms since the epoch. */
  readonly start: number;
  readonly owed: number;
  readonly covered: number;
}

/**
 * How much of a window the expected proxies really reported.
 *
 * A proxy owes telemetry from `max(window.from, enrolledAt)` to `min(window.to, now)`; one that never enrolled owes the
 * whole window and has share 0. Two short stretches are not yet gaps: up to {@link FRESH_MS} before now (the next
 * report is still to come) and up to {@link FRESH_MS} after enrolment (it has no configuration and accepts nothing).
 * Both hold only for a proxy that has reported at all. A proxy that enrolled after the window owed nothing in it.
 *
 * @returns shares from 0 to 1; the overall share is weighed by the time owed and null when no proxy was expected
 */
export function coverageOf(input: CoverageInput): CoverageView {
  const facts = new Map(input.proxies.map((proxy) => [proxy.name, proxy]));
  const intervals = Map.groupBy(input.intervals, (interval) => interval.proxy);
  const end = Math.min(input.window.to, input.now);
  const measured = [...new Set(input.expectedProxies)]
    .sort()
    .filter((name) => (facts.get(name)?.enrolledAt ?? 0) <= end)
    .map((name) => measure(name, facts.get(name), intervals.get(name) ?? [], { from: input.window.from, to: end }, input.now));
  const recent = input.window.to >= input.now - FRESH_MS;
  return {
    proxiesExpected: measured.length,
    proxiesReporting: measured.filter(({ view }) => (recent ? view.live : view.share > 0)).length,
    share: overallShare(measured),
    since: measured.length === 0 ? null : iso(Math.min(...measured.map((item) => item.start))),
    proxies: measured.map(({ view }) => view),
  };
}

function overallShare(measured: readonly Measured[]): number | null {
  if (measured.length === 0) return null;
  const owed = measured.reduce((sum, item) => sum + item.owed, 0);
  if (owed === 0) return Math.min(...measured.map((item) => item.view.share));
  return measured.reduce((sum, item) => sum + item.covered, 0) / owed;
}

function measure(
  name: string,
  fact: ProxyFact | undefined,
  intervals: readonly CoverageInterval[],
  window: Window,
  now: number,
): Measured {
  const start = Math.min(Math.max(window.from, fact?.enrolledAt ?? window.from), window.to);
  const reported = clip(intervals, start, window.to);
  const enrolledInside = fact !== undefined && fact.enrolledAt > window.from;
  const gaps = gapsBetween(reported, start, window.to).filter((gap) => {
    if (reported.length === 0) return true;
    const pending = gap.to === window.to && gap.from >= now - FRESH_MS;
    const settling = enrolledInside && gap.from === start && gap.to - gap.from <= FRESH_MS;
    return !pending && !settling;
  });
  const owed = window.to - start;
  const covered = owed - gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const lastReport = fact?.lastReport ?? null;
  return {
    start,
    owed,
    covered,
    view: {
      name,
      share: owed === 0 ? (lastReport === null ? 0 : 1) : covered / owed,
      lastReport: lastReport === null ? null : iso(lastReport),
      live: lastReport !== null && now - lastReport <= FRESH_MS,
      gaps: gaps.map(windowViewOf),
    },
  };
}

/** The reported stretches inside [from, to], in order and without overlaps. */
function clip(intervals: readonly CoverageInterval[], from: number, to: number): Window[] {
  const inside = intervals
    .map((interval) => ({ from: Math.max(interval.from, from), to: Math.min(interval.to, to) }))
    .filter((interval) => interval.to > interval.from)
    .sort((a, b) => a.from - b.from);
  const merged: { from: number; to: number }[] = [];
  for (const interval of inside) {
    const last = merged.at(-1);
    if (last && interval.from <= last.to) last.to = Math.max(last.to, interval.to);
    else merged.push({ ...interval });
  }
  return merged;
}

function gapsBetween(reported: readonly Window[], from: number, to: number): Window[] {
  const gaps: Window[] = [];
  let at = from;
  for (const interval of reported) {
    if (interval.from > at) gaps.push({ from: at, to: interval.from });
    at = interval.to;
  }
  if (at < to) gaps.push({ from: at, to });
  return gaps;
}

/** ISO 8601 text in UTC of an instant in ms. */
export function iso(at: number): string {
  return new Date(at).toISOString();
}

/** A window in the form that travels. */
export function windowViewOf(window: Window): WindowView {
  return { from: iso(window.from), to: iso(window.to) };
}
