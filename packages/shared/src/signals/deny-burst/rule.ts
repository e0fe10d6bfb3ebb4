import { commonNamespace, deniesLink, destinationOfDeny, lastAt, sourceOfDeny } from '../source.ts';
import type { DetectedSignal, SignalInput } from '../types.ts';

const MINUTE = 60_000;
const WINDOW = 5 * MINUTE;
const BASELINE = 10 * MINUTE;
const LEAST = 20;
const FACTOR = 3;

/**
 * Deny burst (audit-evidence.md §4): one source was denied at least 20 times in the last 5 minutes and at least three
 * times as often as in the 10 minutes before, brought to 5 minutes. The long baseline and the statistics of that
 * section need history that this room does not hold; the two plain thresholds come first.
 */
export function denyBurst(input: SignalInput): DetectedSignal[] {
  const recent = input.denies.filter((event) => event.at > input.now - WINDOW && event.at <= input.now);
  return [...Map.groupBy(recent, sourceOfDeny)].flatMap(([source, events]) => {
    const earlier = input.denies.filter(
      (event) => sourceOfDeny(event) === source && event.at <= input.now - WINDOW && event.at > input.now - WINDOW - BASELINE,
    ).length;
    const baseline = (earlier * WINDOW) / BASELINE;
    if (events.length < LEAST || events.length < FACTOR * baseline) return [];
    const targets = [...new Set(events.map(destinationOfDeny))].sort();
    return [
      {
        key: `deny-burst:${source}`,
        kind: 'deny-burst',
        severity: 'critical',
        title: `${events.length} calls of one source denied in 5 minutes`,
        detail: `${source} was denied ${events.length} times in the last 5 minutes (${baseline} in a usual 5 minutes), calling ${list(targets)}.`,
        subject: source,
        namespace: commonNamespace(events),
        count: events.length,
        at: lastAt(events),
        techniques: ['T1046'],
        link: deniesLink(source),
      },
    ];
  });
}

function list(targets: readonly string[]): string {
  return targets.length > 5 ? `${targets.slice(0, 5).join(', ')} and ${targets.length - 5} more` : targets.join(', ');
}
