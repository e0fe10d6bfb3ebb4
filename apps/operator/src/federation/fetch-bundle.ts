import type { PeerCertificate } from 'node:tls';
import { BundleError, checkPeerLeaf, readSpiffeBundle, type SpiffeBundle, TrustBridge } from '@sallyport/shared/pki';
import type { FederatedTrustDomain } from '@sallyport/shared/resources';
import { fetchDocument, type FetchOptions } from '../jwks/fetch.ts';
import { FetchError } from '../jwks/guard.ts';

/** A bundle with the text that it was read from. */
export interface FetchedBundle {
  readonly document: string;
  readonly bundle: SpiffeBundle;
}

/**
 * Fetches the bundle of another trust domain (SPIFFE Federation §5.2): over the web's own authentication, or from an
 * endpoint that proves a SPIFFE ID by the newest bundle that we have of it.
 *
 * @param present the newest bundle that is known; null when none is
 * @throws FetchError naming the place and the remedy
 */
export async function fetchBundle(spec: FederatedTrustDomain['spec'], present: SpiffeBundle | null, options: Omit<FetchOptions, 'tls'>): Promise<FetchedBundle> {
  const { endpointSPIFFEID: expected } = spec.bundleEndpointProfile;
  const tls = expected === undefined ? {} : { tls: spiffeAuthentication(spec.trustDomain, expected, present) };
  const { text } = await fetchDocument(spec.bundleEndpointURL, { ...options, ...tls });
  try {
    return { document: text, bundle: readSpiffeBundle(text) };
  } catch (error) {
    if (error instanceof BundleError) throw new FetchError(`${spec.bundleEndpointURL} ${error.message}`);
    throw error;
  }
}

/** Federation §5.2.2: the server's SVID must be of exactly the configured ID, by the bundle of its own trust domain. */
function spiffeAuthentication(trustDomain: string, expected: string, present: SpiffeBundle | null): NonNullable<FetchOptions['tls']> {
  if (!present) throw new FetchError(`there is no bundle of ${trustDomain} to know its endpoint by; give one in spec.trustDomainBundle`);
  return {
    ca: new TrustBridge().anchors(new Map([[trustDomain, present.roots]])),
    minVersion: 'TLSv1.2',
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
      try {
        const { uri } = checkPeerLeaf(certificate.raw);
        return uri === expected ? undefined : problem(`the endpoint is ${uri}, expected ${expected}`);
      } catch (error) {
        return problem((error as Error).message);
      }
    },
  };
}

/** Fetching tells of failures by their codes. */
function problem(message: string): Error {
  return Object.assign(new Error(message), { code: message });
}
