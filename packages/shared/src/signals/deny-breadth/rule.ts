import { commonNamespace, deniesLink, destinationOfDeny, lastAt, sourceOfDeny } from '../source.ts';
import type { DetectedSignal, SignalInput } from '../types.ts';

const WINDOW = 10 * 60_000;
const LEAST = 5;

/**
 * Deny breadth (audit-evidence.md §4): one source was denied by at least 5 different destinations in the last 10
 * minutes. A broken client knocks often at one door; someone who looks around knocks at many.
 */
export function denyBreadth(input: SignalInput): DetectedSignal[] {
  const recent = input.denies.filter((event) => event.at > input.now - WINDOW && event.at <= input.now);
  return [...Map.groupBy(recent, sourceOfDeny)].flatMap(([source, events]) => {
    const targets = [...new Set(events.map(destinationOfDeny))].sort();
    if (targets.length < LEAST) return [];
    return [
      {
        key: `deny-breadth:${source}`,
        kind: 'deny-breadth',
        severity: 'critical',
        title: `One source denied by ${targets.length} destinations in 10 minutes`,
        detail: `${source} was denied by ${targets.slice(0, 10).join(', ')}${targets.length > 10 ? ' and others' : ''}.`,
        subject: source,
        namespace: commonNamespace(events),
        count: events.length,
        at: lastAt(events),
        techniques: ['T1046', 'T1613'],
        link: deniesLink(source),
      },
    ];
  });
}
