import type { AuditEntry } from '@sallyport/shared/api';
import type { Weakening } from '@sallyport/shared/signals';
import type { AuthorizationPolicy, PeerAuthentication, Resource } from '@sallyport/shared/resources';

const RANK = { DISABLE: 0, PERMISSIVE: 1, UNSET: 1, STRICT: 2 } as const;

/** Tells whether an audited write relaxed mTLS or authorization, and how; null when it did not. */
export function weakeningOf(entry: AuditEntry): Weakening | null {
  const before = entry.before as Resource | null;
  const after = entry.after as Resource | null;
  if (!before || typeof before !== 'object' || !('kind' in before)) return null;
  const detail = before.kind === 'PeerAuthentication' ? relaxedMode(before, after as PeerAuthentication | null) : relaxedPolicy(before, after as AuthorizationPolicy | null);
  return detail === null ? null : { at: Date.parse(entry.at), actor: entry.actor, resource: entry.resource, detail };
}

function relaxedMode(before: PeerAuthentication, after: PeerAuthentication | null): string | null {
  const was = before.spec.mtls?.mode ?? 'UNSET';
  const is = after?.spec.mtls?.mode ?? 'UNSET';
  // The canary of a step to strict is taken away when the whole namespace has become strict.
  if (after === null && before.metadata.name === 'sallyport-strict-canary') return null;
  return RANK[is] < RANK[was] ? `mTLS mode went from ${was} to ${after ? is : 'nothing (object deleted)'}` : null;
}

function relaxedPolicy(before: Resource, after: AuthorizationPolicy | null): string | null {
  if (before.kind !== 'AuthorizationPolicy' || before.spec.enforcement === 'DryRun') return null;
  if (!after) return `${before.spec.action} policy was deleted`;
  if (after.spec.enforcement === 'DryRun') return `${before.spec.action} policy is no longer enforced (DryRun)`;
  if (before.spec.action === 'DENY' && after.spec.action !== 'DENY') return `policy went from DENY to ${after.spec.action}`;
  return null;
}
