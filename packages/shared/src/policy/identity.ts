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
  // Istio puts the scheme before the value itself, so one that has it already never matches there.
  const text = mesh.compatibility !== 'istio' && pattern.startsWith('spiffe://') ? pattern.slice('spiffe://'.length) : pattern;
  const slash = text.indexOf('/');
  const domain = slash < 0 ? text : text.slice(0, slash);
  if (slash < 0 || domain === '*') return [text];
  const all = ownDomains(mesh);
  const suffix = domain.startsWith('*') ? domain.slice(1) : null;
  const ours = domain === 'cluster.local' || all.some((each) => (suffix === null ? each === domain : each.endsWith(suffix)));
  if (!ours) return [text];
  // A pattern such as `*local/ns/…` already covers the domains that it matches.
  return all.map((each) => (suffix !== null && each.endsWith(suffix) ? text : `${each}${text.slice(slash)}`));
}

function ownDomains(mesh: Mesh): string[] {
  return [mesh.trustDomain, ...(mesh.trustDomainAliases ?? [])];
}

/** Trust-domain patterns; one of our own names means all of them. */
export function trustDomainPatterns(patterns: readonly string[], mesh: Mesh): string[] {
  const all = ownDomains(mesh);
  return [...new Set(patterns.flatMap((pattern) => (pattern === 'cluster.local' || all.includes(pattern) ? all : [pattern])))];
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

/** Istio matches `.*` + `/ns/<pattern>/` + `.*` where a star crosses segments (pilot/pkg/security/authz/model). */
function istioNamespace(pattern: string): StringMatch {
  if (!pattern.startsWith('*') && !pattern.endsWith('*')) return (principal) => principal.includes(`/ns/${pattern}/`);
  const first = pattern.startsWith('*') ? '/ns/' : `/ns/${pattern.slice(0, -1)}`;
  const last = pattern.startsWith('*') ? `${pattern.slice(1)}/` : '/';
  return (principal) => {
    const begin = principal.indexOf(first);
    return begin >= 0 && principal.includes(last, begin + first.length);
  };
}
