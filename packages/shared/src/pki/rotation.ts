import { z } from 'zod';

/** Life of a CA certificate, in this order (identity-pki.md §5). */
export const CA_STATES = ['prepared', 'published', 'active', 'old', 'removed'] as const;
export const PARENTS = ['selfSigned', 'file', 'vault', 'certManager', 'spire'] as const;
export type Parent = (typeof PARENTS)[number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const millis = z.int().min(0);

/** One certificate that signs. Public parts only. */
const caEntry = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{8}$/),
  /** A root is an entry of the trust bundle; an issuer signs SVIDs and leads to its root. */
  role: z.enum(['root', 'issuer']),
  /** Id of the root that it leads to; a root's own. */
  root: z.string(),
  parent: z.enum(PARENTS),
  state: z.enum(CA_STATES),
  subject: z.string(),
  pem: z.string(),
  /** Certificates between an issuer and its parent's root, for those outside of the mesh who trust that root. */
  chain: z.array(z.string()).max(4),
  fingerprint: z.string(),
  /** SHA-256 of what the parent gave; null for one that we made. */
  upstream: z.string().nullable(),
  /** Start of its working life: the allowance for skewed clocks is not part of it. */
  createdAt: millis,
  notAfter: millis,
  /** Since when it is in its state. */
  since: millis,
  publishedAt: millis.nullable(),
  /** The bundle's sequence number that first held it; null for issuers and what was never published. */
  sequence: z.int().nullable(),
  /** No SVID that it signed is valid after this; 0 when it signed none. An upper bound, so that not each SVID is a write. */
  leavesEnd: millis,
});
export type CaEntry = z.infer<typeof caEntry>;

/** All that is known of a trust domain's CA but its keys. */
export const caDocument = z.strictObject({
  version: z.literal(1),
  trustDomain: z.string(),
  /** SPIFFE bundle §4.1.1 `spiffe_sequence`: grows with each change of the bundle. */
  sequence: z.int().min(1),
  entries: z.array(caEntry).max(2000),
  /** Names of issuers of versions that kept no more than the name. */
  earlierIssuers: z.array(z.string()).max(10_000),
});
export type CaDocument = z.infer<typeof caDocument>;

/** Lifetimes in milliseconds, and whether a published root waits for somebody to activate it. */
export interface RotationPolicy {
  readonly leaf: number;
  readonly issuer: number;
  readonly root: number;
  readonly manual: boolean;
}

/** What the next step depends on besides the document. */
export interface RotationFacts {
  readonly now: number;
  readonly parent: Parent;
  /** Fingerprint of what the parent offers now where it cannot be asked for more (files); null otherwise. */
  readonly offered: string | null;
  /** Live proxies that have not acknowledged the bundle with the published root. */
  readonly lagging: readonly string[];
  /** Whether other trust domains fetch our bundle, which acknowledge nothing. */
  readonly federated: boolean;
}

export type RotationStep =
  | { readonly kind: 'prepare-root' }
  | { readonly kind: 'prepare-issuer'; readonly root: CaEntry }
  | { readonly kind: 'publish' | 'activate' | 'remove'; readonly entry: CaEntry };

/** How long a root or issuer stays after the last SVID under it has ended: an hour, or a leaf's life where that is shorter. */
function removalMargin(policy: RotationPolicy): number {
  return Math.min(HOUR, policy.leaf);
}

/** How often other trust domains should fetch our bundle: `spiffe_refresh_hint` in ms, 5 min or what fits a shorter leaf. */
export function refreshHint(policy: RotationPolicy): number {
  return Math.min(5 * MINUTE, policy.leaf / 10);
}

/** When a published root may sign as far as other trust domains are concerned: they have been asked to fetch it five times. */
export function seenByPeersAt(root: CaEntry, policy: RotationPolicy, federated: boolean): number {
  return (root.publishedAt ?? root.since) + (federated ? 5 * refreshHint(policy) : 0);
}

/** An SVID ends this long before its issuer. */
export function issuerMargin(leafMs: number): number {
  return Math.min(MINUTE, leafMs / 10);
}

/** An SVID that would live for less than this is refused: it could not be renewed in time. */
export function shortestLeaf(leafMs: number): number {
  return Math.min(10 * MINUTE, leafMs / 2);
}

/** Lives count by the shorter of what the certificate has and what is configured: a shortened setting takes effect at once. */
function lifeOf(entry: CaEntry, policy: RotationPolicy): number {
  return Math.min(entry.notAfter - entry.createdAt, entry.role === 'root' && entry.parent === 'selfSigned' ? policy.root : policy.issuer);
}

/** When the successor of a root or issuer is prepared: at half of its life. */
export function successorAt(entry: CaEntry, policy: RotationPolicy): number {
  return entry.createdAt + lifeOf(entry, policy) / 2;
}

/** When a prepared issuer takes over from this one: with a sixth of its life left. */
export function handoverAt(entry: CaEntry, policy: RotationPolicy): number {
  return entry.createdAt + (lifeOf(entry, policy) * 5) / 6;
}

/** When an old entry may go: the last SVID below it has ended, and the margin after that. */
export function removableAt(document: CaDocument, entry: CaEntry, policy: RotationPolicy): number {
  const below = document.entries.filter((item) => item.id === entry.id || (entry.role === 'root' && item.root === entry.id));
  return Math.max(entry.since, ...below.map((item) => item.leavesEnd)) + removalMargin(policy);
}

/** Entries of the trust bundle, in the order of their publication: that one of them became active changes no content. */
export function bundleOf(document: CaDocument): CaEntry[] {
  const within = document.entries.filter((entry) => entry.role === 'root' && ['published', 'active', 'old'].includes(entry.state));
  return within.sort((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0));
}

export function activeEntry(document: CaDocument, role: CaEntry['role']): CaEntry | null {
  return document.entries.find((entry) => entry.role === role && entry.state === 'active') ?? null;
}

/** The root that is to follow the active one, or null. */
export function successorRoot(document: CaDocument): CaEntry | null {
  return document.entries.find((entry) => entry.role === 'root' && (entry.state === 'prepared' || entry.state === 'published')) ?? null;
}

/** The issuer that waits under a root, or null. */
export function waitingIssuer(document: CaDocument, root: CaEntry): CaEntry | null {
  return document.entries.find((entry) => entry.role === 'issuer' && entry.root === root.id && entry.state === 'prepared') ?? null;
}

/** The one step that is due now, or null. Steps are taken one by one until none is due. */
export function nextStep(document: CaDocument, policy: RotationPolicy, facts: RotationFacts): RotationStep | null {
  // The issuer before the root: a new parent that gives nothing must not let the present issuer run out.
  return removalStep(document, policy, facts) ?? issuerStep(document, policy, facts) ?? rootStep(document, policy, facts);
}

function rootStep(document: CaDocument, policy: RotationPolicy, facts: RotationFacts): RotationStep | null {
  const active = activeEntry(document, 'root');
  const successor = successorRoot(document);
  // What is trusted after an expiry is for a person to say: proxies have to be given the new bundle by hand.
  if (active && facts.now >= active.notAfter && !reanchored(active, facts)) return null;
  if (!successor) return !active || successorDue(active, policy, facts) ? { kind: 'prepare-root' } : null;
  if (!waitingIssuer(document, successor)) return { kind: 'prepare-issuer', root: successor };
  if (!active) return { kind: 'activate', entry: successor };
  if (successor.state === 'prepared') return { kind: 'publish', entry: successor };
  const seen = facts.now >= seenByPeersAt(successor, policy, facts.federated);
  if (!policy.manual && facts.lagging.length === 0 && seen) return { kind: 'activate', entry: successor };
  // Files were changed again. What is published stays until the new content has been found good.
  return facts.offered !== null && successor.upstream !== facts.offered ? { kind: 'prepare-root' } : null;
}

/** A root is followed when its parent is no longer the one that is wanted, offers another certificate, or at half of its life. */
function successorDue(active: CaEntry, policy: RotationPolicy, { now, parent, offered }: RotationFacts): boolean {
  if (reanchored(active, { parent, offered })) return true;
  return parent !== 'file' && now >= successorAt(active, policy);
}

/** Somebody chose another parent, or gave it other files. */
function reanchored(active: CaEntry, { parent, offered }: Pick<RotationFacts, 'parent' | 'offered'>): boolean {
  return active.parent !== parent || (offered !== null && active.upstream !== offered);
}

function issuerStep(document: CaDocument, policy: RotationPolicy, { now }: RotationFacts): RotationStep | null {
  const root = activeEntry(document, 'root');
  const issuer = activeEntry(document, 'issuer');
  // A parent's intermediate signs SVIDs itself: it is followed as a root is.
  if (!root || root.parent !== 'selfSigned') return null;
  // One that ends with its root cannot be followed by a longer one: it is the root's turn.
  if (now >= root.notAfter || (issuer && issuer.notAfter >= root.notAfter)) return null;
  const waiting = waitingIssuer(document, root);
  if (!waiting) return !issuer || now >= successorAt(issuer, policy) ? { kind: 'prepare-issuer', root } : null;
  return !issuer || now >= handoverAt(issuer, policy) ? { kind: 'activate', entry: waiting } : null;
}

function removalStep(document: CaDocument, policy: RotationPolicy, facts: RotationFacts): RotationStep | null {
  const done = document.entries.find((entry) => entry.state === 'old' && facts.now >= removableAt(document, entry, policy));
  if (done) return { kind: 'remove', entry: done };
  // A successor that nobody wants any more: the parent or its files were changed back.
  const successor = successorRoot(document);
  const unwanted = successor && (successor.parent !== facts.parent || (facts.offered !== null && activeEntry(document, 'root')?.upstream === facts.offered));
  if (unwanted) return { kind: 'remove', entry: successor };
  // Proxies took so long that what waits would be replaced as soon as it signs.
  const waiting = successor && waitingIssuer(document, successor);
  const stale = waiting && waiting.parent !== 'file' && facts.now >= handoverAt(waiting, policy);
  return stale ? { kind: 'remove', entry: waiting.parent === 'selfSigned' ? waiting : successor } : null;
}

type Change = Partial<Pick<CaEntry, 'state' | 'publishedAt' | 'sequence'>>;

/** Puts an entry into the bundle: its sequence number is the one that proxies have to acknowledge. */
export function published(document: CaDocument, id: string, now: number): CaDocument {
  const sequence = document.sequence + 1;
  return { ...changed(document, now, (entry) => (entry.id === id ? { state: 'published', publishedAt: now, sequence } : null)), sequence };
}

/** Makes a root with its waiting issuer, or an issuer alone, the one that signs; what signed before is old. */
export function activated(document: CaDocument, id: string, now: number): CaDocument {
  const target = document.entries.find((entry) => entry.id === id);
  if (!target) return document;
  const fresh = target.role === 'root' && target.state === 'prepared';
  const base = fresh ? published(document, id, now) : document;
  const issuer = target.role === 'issuer' ? target : waitingIssuer(document, target);
  return changed(base, now, (entry) => {
    if (entry.id === id || entry.id === issuer?.id) return { state: 'active' };
    if (entry.state === 'active' && (entry.role === 'issuer' || target.role === 'root')) return { state: 'old' };
    // A waiting issuer of the root that goes will never sign.
    if (entry.state === 'prepared' && entry.role === 'issuer' && target.role === 'root') return { state: 'removed' };
    return null;
  });
}

/** Takes an entry away, with all that leads to it. */
export function removed(document: CaDocument, id: string, now: number): CaDocument {
  const target = document.entries.find((entry) => entry.id === id);
  if (!target) return document;
  const inBundle = bundleOf(document).some((entry) => entry.id === id);
  const result = changed(document, now, (entry) => (entry.id === id || (target.role === 'root' && entry.root === id) ? { state: 'removed' } : null));
  return inBundle ? { ...result, sequence: document.sequence + 1 } : result;
}

function changed(document: CaDocument, now: number, change: (entry: CaEntry) => Change | null): CaDocument {
  return {
    ...document,
    entries: document.entries.map((entry) => {
      const difference = entry.state === 'removed' ? null : change(entry);
      return difference ? { ...entry, ...difference, since: now } : entry;
    }),
  };
}

/** Puts new entries in, in place of a successor that was on its way. */
export function withPrepared(document: CaDocument, entries: readonly CaEntry[], now: number): CaDocument {
  const before = successorRoot(document);
  const replaced = before && entries.some((entry) => entry.role === 'root') ? removed(document, before.id, now) : document;
  return { ...replaced, entries: [...replaced.entries, ...entries] };
}
