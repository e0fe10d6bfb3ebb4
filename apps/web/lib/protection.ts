import type { CoverageView, WindowView } from '@sallyport/shared/api';
import { duration, percent, plural } from './format.ts';

/** Counts of calls by how they were protected. */
export interface Calls {
  readonly mutual: number;
  readonly plaintext: number;
  readonly unknown: number;
}

/**
 * What may be said about the protection of some calls. `locked` is the only one that may carry a lock: every call was
 * mutual TLS, there was at least one, and nobody who should have reported was silent.
 */
type ProtectionState = 'locked' | 'partial' | 'plaintext' | 'unknown';

export interface Protection {
  readonly state: ProtectionState;
  /** The figure in words: `100 % mTLS`, `82 % mTLS · 18 % plaintext`, `unknown`. */
  readonly label: string;
}

/**
 * Judges counts of calls. Absent or incomplete telemetry is never "secure".
 *
 * @param stale true when a proxy that should have reported did not cover the window
 */
export function protectionOf(calls: Calls, stale: boolean): Protection {
  const total = calls.mutual + calls.plaintext + calls.unknown;
  if (total === 0) return { state: 'unknown', label: stale ? 'unknown, no data' : 'unknown, no calls' };
  if (calls.mutual === total) {
    return stale ? { state: 'unknown', label: '100 % mTLS of what was reported; reports missing' } : { state: 'locked', label: '100 % mTLS' };
  }
  const label = [
    part(calls.mutual, total, 'mTLS'),
    part(calls.plaintext, total, 'plaintext'),
    part(calls.unknown, total, 'unknown'),
  ]
    .filter((text) => text !== '')
    .join(' · ');
  return { state: stateOf(calls), label: stale ? `${label}; reports missing` : label };
}

function stateOf(calls: Calls): ProtectionState {
  if (calls.plaintext > 0) return calls.mutual > 0 || calls.unknown > 0 ? 'partial' : 'plaintext';
  return calls.mutual > 0 ? 'partial' : 'unknown';
}

function part(value: number, total: number, name: string): string {
  return value > 0 ? `${percent(value, total)} ${name}` : '';
}

/** True when any proxy of the window is silent now or left a gap: then a figure is about what was reported, no more. */
export function hasGaps(coverage: CoverageView): boolean {
  return (
    coverage.proxiesExpected === 0 ||
    coverage.proxiesReporting < coverage.proxiesExpected ||
    coverage.share === null ||
    coverage.share < 1 ||
    coverage.proxies.some((proxy) => !proxy.live || proxy.gaps.length > 0)
  );
}

/** Below this, a start after the window's own is a matter of the first report, not of a proxy that came later. */
const SETTLING_MS = 15_000;

/**
 * The coverage in words: `3 of 3 proxies · 100 % of the window`, or of the shorter time for which any proxy was there to
 * look: a window that began before that is not covered, whatever the share says.
 */
export function coverageLabel(coverage: CoverageView, window?: WindowView): string {
  if (coverage.proxiesExpected === 0) return 'no proxy enrolled, so nothing is known';
  const share = coverage.share === null ? 'nothing' : percent(coverage.share, 1);
  return `${coverage.proxiesReporting} of ${plural(coverage.proxiesExpected, 'proxy', 'proxies')} · ${share} of ${observed(coverage, window)}`;
}

function observed(coverage: CoverageView, window: WindowView | undefined): string {
  if (!window || coverage.since === null || Date.parse(coverage.since) - Date.parse(window.from) <= SETTLING_MS) return 'the window';
  return `the ${duration(Date.parse(window.to) - Date.parse(coverage.since))} observed`;
}
