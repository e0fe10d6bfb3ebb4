import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { parseSpiffeId } from '@sallyport/shared/mesh';
import { decodeX509Svids, MessageError, splitCertificates, type X509SvidMessage } from '@sallyport/shared/pki';
import { acceptSvid, type Svid } from '../identity/credentials.ts';
import type { DomainBundle } from '../identity/trust.ts';

/** What a Workload API gives this process: the complete state, as of one message. */
export interface X509State {
  /** By SPIFFE ID. Those of other trust domains are left out: they are no identity of this mesh. */
  readonly svids: ReadonlyMap<string, Svid>;
  /** SPIFFE IDs that are there and cannot be used, with the reason. */
  readonly refused: ReadonlyMap<string, string>;
  /** Roots of our own trust domain, in PEM. */
  readonly roots: readonly string[];
  readonly federated: ReadonlyMap<string, DomainBundle>;
  /** Trust domains whose bundle cannot be used, with the reason: nobody of them is believed. */
  readonly unusable: ReadonlyMap<string, string>;
}

/** What is left when no identity is ours any more (Workload API §5.2.1: the client "SHOULD cease using the redacted SVIDs"). */
export const NOTHING: X509State = { svids: new Map(), refused: new Map(), roots: [], federated: new Map(), unusable: new Map() };

/**
 * Reads an `X509SVIDResponse` and checks everything in it by the rules for peers: leaf, path to the bundle, key, times.
 *
 * @throws MessageError when the message must be discarded: Workload API §4.5, "a message in which a mandatory field has
 * a default value", or a bundle of ours that nobody could be verified by
 */
export function readX509State(message: Buffer, trustDomain: string, now: number): X509State {
  const { svids, federated } = decodeX509Svids(message);
  if (svids.length === 0) throw new MessageError('it holds no SVID');
  for (const { spiffeId, chain, key, bundle } of svids) {
    if (spiffeId === '' || chain.length === 0 || key.length === 0 || bundle.length === 0) throw new MessageError(`a mandatory field of SVID "${spiffeId.slice(0, 300)}" is empty`);
  }
  const own = svids.filter(({ spiffeId }) => trustDomainOf(spiffeId) === trustDomain);
  const roots = own[0] ? readRoots(own[0].bundle) : [];
  return { ...readSvids(own, roots, now), roots, ...readFederated(federated, trustDomain) };
}

function trustDomainOf(uri: string): string | null {
  try {
    return parseSpiffeId(uri).trustDomain;
  } catch {
    return null;
  }
}

function readSvids(messages: readonly X509SvidMessage[], roots: readonly string[], now: number): Pick<X509State, 'svids' | 'refused'> {
  const svids = new Map<string, Svid>();
  const refused = new Map<string, string>();
  for (const message of messages) {
    const { spiffeId } = message;
    // §5.2.1: of several with the same hint "the first message in the list SHOULD be selected"; so, too, of one ID.
    if (svids.has(spiffeId)) continue;
    try {
      svids.set(spiffeId, readSvid(message, roots, now));
      refused.delete(spiffeId);
    } catch (error) {
      refused.set(spiffeId, (error as Error).message);
    }
  }
  return { svids, refused };
}

/** @throws Error with the reason, which tells nothing of the key */
function readSvid({ spiffeId, chain, key }: X509SvidMessage, roots: readonly string[], now: number): Svid {
  const svid = acceptSvid({ chain: splitCertificates(chain), renewAt: 0 }, spiffeId, privateKey(key), roots, now);
  // Who gives it renews it; what we say of its time is what is usual (half of its life).
  return { ...svid, renewAt: (svid.notBefore + svid.notAfter) / 2, external: true };
}

function privateKey(der: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  } catch {
    throw new MessageError('its key is no PKCS#8 private key');
  }
}

/** @throws MessageError when a certificate of the bundle is not a readable CA, or there is none */
function readRoots(bundle: Uint8Array): string[] {
  const roots = splitCertificates(bundle);
  for (const root of roots) if (!isCa(root)) throw new MessageError('a certificate of the bundle is not a readable CA certificate');
  if (roots.length === 0) throw new MessageError('the bundle is empty');
  return roots;
}

function isCa(pem: string): boolean {
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false;
  }
}

/** "Keyed by the SPIFFE ID of the foreign trust domain". Our own name among them is ignored: our bundle comes with our SVID. */
function readFederated(bundles: ReadonlyMap<string, Uint8Array>, own: string): Pick<X509State, 'federated' | 'unusable'> {
  const federated = new Map<string, DomainBundle>();
  const unusable = new Map<string, string>();
  for (const [uri, der] of bundles) {
    const name = trustDomainOf(uri);
    if (name === own) continue;
    try {
      if (name === null || uri !== `spiffe://${name}`) throw new MessageError('its key is not the SPIFFE ID of a trust domain');
      federated.set(name, { roots: readRoots(der), jwtKeys: [] });
    } catch (error) {
      unusable.set(uri.slice(0, 300), (error as Error).message);
    }
  }
  return { federated, unusable };
}
