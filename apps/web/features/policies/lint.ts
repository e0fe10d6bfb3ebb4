import type { FindingView, LintView } from '@sallyport/shared/api';
import { plural } from '#lib/format.ts';
import type { Tone } from '#ui/Tag.tsx';

const SEVERITIES: readonly FindingView['severity'][] = ['error', 'warn', 'info'];
export const SEVERITY_TONE: Readonly<Record<FindingView['severity'], Tone>> = { error: 'bad', warn: 'warn', info: 'info' };
const NAMES: Readonly<Record<FindingView['severity'], readonly [string, string]>> = { error: ['error', 'errors'], warn: ['warning', 'warnings'], info: ['remark', 'remarks'] };

/** `error`, `warning` or `remark`. */
export function severityName(severity: FindingView['severity']): string {
  return NAMES[severity][0];
}

/** `2 errors`, `1 warning`, `3 remarks`. */
export function severityCount(severity: FindingView['severity'], value: number): string {
  return plural(value, ...NAMES[severity]);
}

/** Findings of one severity for a policy, worst first; only those that there are. */
export function tally(findings: readonly FindingView[], policy: string): { severity: FindingView['severity']; count: number }[] {
  const own = findings.filter((each) => each.policy === policy);
  return SEVERITIES.map((severity) => ({ severity, count: own.filter((each) => each.severity === severity).length })).filter(({ count }) => count > 0);
}

/** All findings in words, worst first: `1 error, 2 warnings`; `none`. */
export function lintSummary({ counts }: LintView): string {
  return SEVERITIES.filter((severity) => counts[severity] > 0).map((severity) => severityCount(severity, counts[severity])).join(', ') || 'none';
}

/** How many findings there are beyond those listed. */
export function unlisted({ counts, findings }: LintView): number {
  return counts.error + counts.warn + counts.info - findings.length;
}
