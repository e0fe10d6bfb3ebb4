import type { AuditEntry } from '@sallyport/shared/api';
import type { Weakening } from '@sallyport/shared/signals';
import type { AuthorizationPolicy, PeerAuthentication, RequestAuthentication, Resource } from '@sallyport/shared/resources';

const RANK = { DISABLE: 0, PERMISSIVE: 1, UNSET: 1, STRICT: 2 } as const;

/** Tells whether an audited write relaxed mTLS or authorization, and how; null when it did not. */
export function weakeningOf(entry: AuditEntry): Weakening | null {
  const before = entry.before as Resource | null;
  const after = entry.after as Resource | null;
  if (!before || typeof before !== 'object' || !('kind' in before)) return null;
  const detail = relaxed(before, after);
  return detail === null ? null : { at: Date.parse(entry.at), actor: entry.actor, resource: entry.resource, detail };
}

function relaxed(before: Resource, after: Resource | null): string | null {
  if (before.kind === 'PeerAuthentication') return relaxedMode(before, after as PeerAuthentication | null);
  if (before.kind === 'RequestAuthentication') return relaxedTokens(before, after as RequestAuthentication | null);
  return relaxedPolicy(before, after as AuthorizationPolicy | null);
}

/** Whose tokens are taken, for whom, and by which keys: more of any of them is weaker. */
function relaxedTokens(before: RequestAuthentication, after: RequestAuthentication | null): string | null {
  if (!after) return 'tokens are no longer checked (object deleted)';
  if (before.spec.jwtRules.length > 0 && after.spec.jwtRules.length === 0) return 'tokens are no longer checked (no jwtRules left)';
  for (const rule of after.spec.jwtRules) {
    const was = before.spec.jwtRules.filter((item) => item.issuer === rule.issuer);
    if (was.length === 0) return `tokens of issuer ${rule.issuer} are accepted now`;
    if (!was.some((item) => item.jwks === rule.jwks && item.jwksUri === rule.jwksUri)) return `tokens of issuer ${rule.issuer} are checked with keys from elsewhere now`;
    if (!was.some((item) => coversAudiences(item.audiences ?? [], rule.audiences ?? []))) return `tokens of issuer ${rule.issuer} are accepted for more audiences now`;
  }
  return null;
}

/** No audiences means any. */
function coversAudiences(before: readonly string[], after: readonly string[]): boolean {
  return before.length === 0 || (after.length > 0 && after.every((audience) => before.includes(audience)));
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
  const { action } = before.spec;
  if ((action === 'DENY' || action === 'CUSTOM') && after.spec.action !== action && after.spec.action !== 'DENY') return `policy went from ${action} to ${after.spec.action}`;
  return null;
}
