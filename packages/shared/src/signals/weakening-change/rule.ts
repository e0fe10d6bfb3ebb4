import type { DetectedSignal, SignalInput } from '../types.ts';

const RECENT = 60 * 60_000;

/** Weakening change (audit-evidence.md §4): within the last hour someone wrote a change that relaxes mTLS or authorization. */
export function weakeningChange(input: SignalInput): DetectedSignal[] {
  return input.weakenings
    .filter((change) => change.at <= input.now && change.at > input.now - RECENT)
    .map((change) => ({
      key: `weakening-change:${change.resource}:${change.at}`,
      kind: 'weakening-change',
      severity: 'warning',
      title: `Protection relaxed: ${change.resource}`,
      detail: `${change.actor} changed ${change.resource}: ${change.detail}`,
      subject: change.actor,
      namespace: /^\S+ ([^/\s]+)\//.exec(change.resource)?.[1] ?? null,
      count: 1,
      at: change.at,
      techniques: ['T1562.001', 'T1098.006'],
      link: `/audit?resource=${encodeURIComponent(change.resource)}`,
    }));
}
