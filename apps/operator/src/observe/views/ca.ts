import { X509Certificate } from 'node:crypto';
import type { CaCertificate, CaView } from '@sallyport/shared/api';
import { bundleOf, type CaDocument, type CaEntry, handoverAt, refreshHint, removableAt, type RotationPolicy, successorAt, successorRoot } from '@sallyport/shared/pki';
import type { Authority } from '../../ca/authority.ts';
import type { CaController } from '../../ca/controller.ts';
import type { Issuance } from '../../ca/issuance.ts';
import type { FederationController } from '../../federation/controller.ts';
import { laggingProxies, readProxies } from '../../history/proxies.ts';
import { foreignEntries } from './foreign-bundles.ts';
import { meshOf } from '../mesh-state.ts';
import type { Sources } from '../observation.ts';

const REMOVED_SHOWN = 10;

/** What the CA's view is made of besides the stored state. */
export interface CaSources extends Sources {
  readonly authority: Authority;
  readonly ca: CaController;
  readonly issuance: Issuance;
  readonly federation: Pick<FederationController, 'bundles'>;
  readonly certificateChain: { verify(): Promise<'intact' | 'broken'> };
}

/** Live proxies that have not acknowledged the present bundle, with the number that they have. */
export async function laggards(sources: Sources & { readonly authority: Authority }): Promise<CaView['lagging']> {
  const [names, proxies] = await Promise.all([laggingProxies(sources.database, sources.authority.document.sequence, sources.now()), readProxies(sources.database)]);
  return names.map((proxy) => {
    const acknowledged = proxies.find(({ name }) => name === proxy)?.bundleSequence;
    return { proxy, acknowledged: acknowledged === null || acknowledged === undefined ? null : Number(acknowledged) };
  });
}

/** The CA as it is now. */
export async function readCa(sources: CaSources): Promise<CaView> {
  const { document } = sources.authority;
  const { certificates } = meshOf(sources.cache, sources.trustDomain).spec;
  const [lagging, record] = await Promise.all([laggards(sources), sources.certificateChain.verify()]);
  const { issued, refused } = sources.issuance.counts;
  return {
    trustDomain: sources.trustDomain,
    parent: { wanted: sources.ca.wanted, ...sources.ca.condition },
    bundle: { sequence: document.sequence, roots: bundleOf(document).length, refreshHint: refreshHint(sources.ca.policy) / 1000 },
    lifetimes: { leaf: certificates.leafLifetime, issuer: certificates.issuerLifetime, root: certificates.rootLifetime, rootActivation: certificates.rootActivation },
    certificates: caCertificates(document, sources.ca.policy, lagging.map(({ proxy }) => proxy), sources.now()),
    foreign: foreignEntries(sources.federation.bundles, sources.now()),
    jwtKeys: sources.issuance.jwtKeys,
    lagging,
    issuance: { issued: Object.fromEntries(issued), refused: Object.fromEntries(refused) },
    record,
  };
}

/** Entries with their ages and next steps, newest first. */
export function caCertificates(document: CaDocument, policy: RotationPolicy, lagging: readonly string[], now: number): CaCertificate[] {
  const removed = document.entries.filter(({ state }) => state === 'removed').slice(0, -REMOVED_SHOWN);
  const bundle = new Set(bundleOf(document).map(({ id }) => id));
  const shown = document.entries.filter((entry) => !removed.includes(entry)).reverse();
  return shown.map((entry) => ({
    id: entry.id,
    role: entry.role,
    root: entry.root,
    parent: entry.parent,
    state: entry.state,
    since: iso(entry.since),
    subject: entry.subject,
    fingerprint: entry.fingerprint,
    notBefore: new X509Certificate(entry.pem).validFromDate.toISOString(),
    notAfter: iso(entry.notAfter),
    lifetimeUsed: Math.max(0, (now - entry.createdAt) / (entry.notAfter - entry.createdAt)),
    inBundle: bundle.has(entry.id),
    sequence: entry.sequence,
    next: nextOf(document, entry, policy, lagging),
    pem: entry.pem,
    chain: entry.chain,
  }));
}

/** What comes next for an entry, and when or after whom; null for what is over or follows another entry. */
function nextOf(document: CaDocument, entry: CaEntry, policy: RotationPolicy, lagging: readonly string[]): CaCertificate['next'] {
  const at = (step: NonNullable<CaCertificate['next']>['step'], time: number | null, waitsFor: readonly string[] = []) => ({ step, at: time === null ? null : iso(time), waitsFor: [...waitsFor] });
  if (entry.state === 'old') return at('remove', removableAt(document, entry, policy));
  if (entry.state === 'published') return at('activate', null, lagging);
  if (entry.state === 'prepared') return entry.role === 'root' ? at('publish', null) : null;
  if (entry.state === 'removed') return null;
  if (entry.role === 'root') {
    if (successorRoot(document)) return null;
    return entry.parent === 'file' ? at('replace-files', entry.notAfter) : at('prepare-successor', successorAt(entry, policy));
  }
  const waiting = document.entries.some(({ role, state, root }) => role === 'issuer' && state === 'prepared' && root === entry.root);
  if (entry.parent !== 'selfSigned') return null;
  return waiting ? at('hand-over', handoverAt(entry, policy)) : at('prepare-successor', successorAt(entry, policy));
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
