import { parseResource, type ResourceOf } from '@sallyport/shared/resources';

/** A policy about who somebody is, rather than what they may do. */
export type AuthenticationPolicy = ResourceOf<'PeerAuthentication'> | ResourceOf<'RequestAuthentication'>;

/** Policies of an answer of the API, and how many of it this console cannot read. */
export function authenticationsOf(items: readonly unknown[]): { readonly policies: readonly AuthenticationPolicy[]; readonly unreadable: number } {
  const policies = items.flatMap((item): AuthenticationPolicy[] => {
    try {
      const resource = parseResource(item);
      return resource.kind === 'PeerAuthentication' || resource.kind === 'RequestAuthentication' ? [resource] : [];
    } catch {
      return [];
    }
  });
  return { policies, unreadable: items.length - policies.length };
}

/** What the policy says, in words: the mode, or whose tokens. */
export function saysOf(policy: AuthenticationPolicy): string {
  if (policy.kind === 'RequestAuthentication') {
    const issuers = (policy.spec.jwtRules ?? []).map((rule) => rule.issuer);
    return issuers.length === 0 ? 'no issuer: no token is verified' : `verifies tokens of ${issuers.join(', ')}`;
  }
  const ports = Object.entries(policy.spec.portLevelMtls ?? {}).map(([port, { mode }]) => `port ${port} ${mode ?? 'UNSET'}`);
  return ['mTLS ' + (policy.spec.mtls?.mode ?? 'UNSET: inherited'), ...ports].join(', ');
}

/** The workloads that a policy bears on, in words. */
export function scopeOf({ spec }: AuthenticationPolicy): string {
  const labels = Object.entries(spec.selector?.matchLabels ?? {});
  if (labels.length > 0) return labels.map(([key, value]) => `${key}=${value}`).join(', ');
  const refs = 'targetRefs' in spec ? (spec.targetRefs ?? []) : [];
  return refs.length > 0 ? refs.map((ref) => `${ref.kind} ${ref.name}`).join(', ') : 'whole namespace';
}
