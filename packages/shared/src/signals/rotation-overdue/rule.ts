import { renewalDeadline } from '../../pki/index.ts';
import type { DetectedSignal, SignalInput, SvidFact } from '../types.ts';

const MOST_GRACE = 10 * 60_000;

/**
 * When a certificate counts as overdue (ms since the epoch): the latest healthy renewal, plus a tenth of the lifetime
 * but at most 10 minutes, so that one refused request to a busy CA raises nothing (audit-evidence.md §4).
 */
export function overdueAt(svid: Pick<SvidFact, 'notBefore' | 'notAfter'>): number {
  const grace = Math.min(MOST_GRACE, (svid.notAfter - svid.notBefore) / 10);
  return renewalDeadline(svid.notBefore, svid.notAfter) + grace;
}

/** Rotation overdue: the newest SVID of an identity on a proxy is past {@link overdueAt}; critical once expired. */
export function rotationOverdue(input: SignalInput): DetectedSignal[] {
  const newest = new Map<string, SvidFact>();
  for (const svid of input.svids) {
    const key = `${svid.proxy}:${svid.spiffeId}`;
    if ((newest.get(key)?.notBefore ?? Number.NEGATIVE_INFINITY) < svid.notBefore) newest.set(key, svid);
  }
  return [...newest].filter(([, svid]) => input.now > overdueAt(svid)).map(([key, svid]) => signalOf(key, svid, input.now));
}

function signalOf(key: string, svid: SvidFact, now: number): DetectedSignal {
  const expired = now >= svid.notAfter;
  const until = new Date(svid.notAfter).toISOString();
  return {
    key: `rotation-overdue:${key}`,
    kind: 'rotation-overdue',
    severity: expired ? 'critical' : 'warning',
    title: expired ? 'Certificate expired' : 'Certificate rotation overdue',
    detail: `${svid.spiffeId} on proxy ${svid.proxy} ${expired ? 'expired' : 'should have been renewed; it expires'} at ${until}.`,
    subject: svid.spiffeId,
    namespace: /\/ns\/([^/]+)\/sa\//.exec(svid.spiffeId)?.[1] ?? null,
    count: 1,
    at: now,
    techniques: [],
    link: `/identities?spiffeId=${encodeURIComponent(svid.spiffeId)}`,
  };
}
