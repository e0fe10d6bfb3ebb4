import { parseSpiffeId } from '../mesh/index.ts';
import type { MeshSpec } from '../resources/index.ts';
import { compileStrings, oneOf, type StringMatch } from './match.ts';

type Mesh = Pick<MeshSpec, 'trustDomain' | 'trustDomainAliases' | 'compatibility'>;

/** What policies ask of a verified peer. */
export interface PeerIdentity {
  /** The SPIFFE ID without its scheme; '' for a plaintext peer. */
  readonly principal: string;
  readonly trustDomain: string;
  /** '' unless the path has the form `/ns/<namespace>/sa/<service account>`. */
  readonly namespace: string;
  /** `namespace/name`, or ''. */
  readonly serviceAccount: string;
}

/** A peer without identity. */
export const NOBODY: PeerIdentity = { principal: '', trustDomain: '', namespace: '', serviceAccount: '' };

/** The facts of a peer; null for text that is no SPIFFE ID (CVE-2025-66220: a NUL in a SAN), which nobody may decide on. */
export function peerIdentity(principal: string | null): PeerIdentity | null {
  if (principal === null) return NOBODY;
  try {
    const { trustDomain, path, namespace, serviceAccount } = parseSpiffeId(principal);
    return {
      principal: `${trustDomain}${path}`,
      trustDomain,
      namespace: namespace ?? '',
      serviceAccount: namespace === null ? '' : `${namespace}/${serviceAccount ?? ''}`,
    };
  } catch {
    return null;
  }
}

/**
 * Principal patterns with the mesh's aliases written out.
 *
 * Istio, "trust domain migration": a pattern whose trust domain is the mesh's own, an alias of it or `cluster.local`
 * stands for the same path in each of them; any other domain, and a bare `*`, stays as it is.
 */
export function principalPatterns(patterns: readonly string[], mesh: Mesh): string[] {
  return [...new Set(patterns.flatMap((pattern) => expand(pattern, mesh)))];
}

function expand(pattern: string, mesh: Mesh): string[] {
  const istio = mesh.compatibility === 'istio';
  // Istio puts the scheme before the value itself, so one that has it already never matches there.
  const text = !istio && pattern.startsWith('spiffe://') ? pattern.slice('spiffe://'.length) : pattern;
  const slash = text.indexOf('/');
  const domain = slash < 0 ? text : text.slice(0, slash);
  // Istio looks for a trust domain in the five parts of `<domain>/ns/<namespace>/sa/<account>` alone.
  if (slash < 0 || domain === '*' || (istio && text.split('/').length !== 5)) return [text];
  const all = ownDomains(mesh);
  const covers = (each: string) => domain.startsWith('*') && each.endsWith(domain.slice(1));
  const ours = domain === 'cluster.local' || all.some((each) => each === domain || covers(each) || (domain.endsWith('*') && each.startsWith(domain.slice(0, -1))));
  if (!ours) return [text];
  // A pattern such as `*local/ns/…` already covers the domains that it matches.
  return all.map((each) => (covers(each) ? text : `${each}${text.slice(slash)}`));
}

function ownDomains(mesh: Mesh): string[] {
  return [mesh.trustDomain, ...(mesh.trustDomainAliases ?? [])];
}

/** Trust-domain patterns; one of our own names means all of them, and so does `cluster.local` but to Istio. */
export function trustDomainPatterns(patterns: readonly string[], mesh: Mesh): string[] {
  const all = ownDomains(mesh);
  const ours = (pattern: string) => all.includes(pattern) || (pattern === 'cluster.local' && mesh.compatibility !== 'istio');
  return [...new Set(patterns.flatMap((pattern) => (ours(pattern) ? all : [pattern])))];
}

/** A namespace pattern's test over a peer. */
export type PeerMatch = (peer: PeerIdentity) => boolean;

/** Namespaces of a source: of the identity's own form, or as Istio finds them anywhere in its text. */
export function compileNamespaces(patterns: readonly string[], mesh: Mesh): PeerMatch {
  if (mesh.compatibility !== 'istio') {
    const match = compileStrings(patterns);
    return (peer) => match(peer.namespace);
  }
  const match = oneOf(new Set(), patterns.map(istioNamespace));
  return (peer) => match(peer.principal);
}

/**
 * Istio matches `.*` + `/ns/<pattern>/` + `.*` where any star is any text (pilot/pkg/security/authz/model). Between
 * stars the first place that fits is as good as any, so this is one pass without going back.
 */
function istioNamespace(pattern: string): StringMatch {
  const parts = `/ns/${pattern}/`.split('*');
  return (principal) => {
    let at = 0;
    for (const part of parts) {
      const found = principal.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return true;
  };
}

/** Service accounts of a source: of the identity's own form, or as Istio finds them. Patterns are `namespace/name`. */
export function compileAccounts(patterns: readonly string[], mesh: Mesh): PeerMatch {
  if (mesh.compatibility !== 'istio') {
    const match = compileStrings(patterns);
    return (peer) => match(peer.serviceAccount);
  }
  const match = oneOf(new Set(), patterns.map(istioAccount));
  return (peer) => match(peer.principal);
}

/** Istio matches `spiffe://.+/ns/<namespace>/(.+/|)sa/<name>(/.+)?`. */
function istioAccount(pattern: string): StringMatch {
  const [namespace = '', name = ''] = pattern.split('/');
  const [first, last] = [`/ns/${namespace}/`, `/sa/${name}`];
  return (principal) => {
    const begin = principal.indexOf(first, 1);
    // The slash that ends the first part may be the one that begins the last.
    let at = begin < 0 ? -1 : principal.indexOf(last, begin + first.length - 1);
    while (at >= 0) {
      const end = at + last.length;
      if (end === principal.length || (principal[end] === '/' && end + 1 < principal.length)) return true;
      at = principal.indexOf(last, at + 1);
    }
    return false;
  };
}
