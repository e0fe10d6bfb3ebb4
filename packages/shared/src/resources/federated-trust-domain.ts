import { z } from 'zod';
import { checked } from './checks.ts';
import { trustDomainName } from './match.ts';

const profile = checked(
  z.strictObject({
    type: z.enum(['https_web', 'https_spiffe']).describe('`https_web`: the endpoint is known by its host name and a public CA. `https_spiffe`: by its SPIFFE ID and the last bundle.'),
    endpointSPIFFEID: z.string().min(1).max(2048).regex(/^spiffe:\/\/[a-z0-9._-]+\/[A-Za-z0-9._/-]+$/, 'must be the SPIFFE ID of a workload').optional().describe('With `https_spiffe`: who serves the endpoint. Of the same trust domain.'),
  }),
  {
    test: ({ type, endpointSPIFFEID }) => (type === 'https_spiffe') === (endpointSPIFFEID !== undefined),
    cel: "(self.type == 'https_spiffe') == has(self.endpointSPIFFEID)",
    field: 'endpointSPIFFEID',
    message: 'must be there with https_spiffe, and only then',
  },
);

/** Named and shaped like SPIRE's ClusterFederatedTrustDomain. */
export const federatedTrustDomainSpec = checked(
  z.strictObject({
    trustDomain: trustDomainName.describe('The other trust domain. Never inferred from what the endpoint says.'),
    bundleEndpointURL: z.string().min(1).max(2048).regex(/^https:\/\/[^@?#\s]+$/, 'must be an https URL without credentials, query or fragment').describe('Where its bundle is fetched.'),
    bundleEndpointProfile: profile.describe('How the endpoint proves who it is.'),
    trustDomainBundle: z.string().min(1).max(131_072).optional().describe('Its bundle as a SPIFFE bundle document (JSON), to begin with. It counts until the first fetch, and again when it is changed. With `https_spiffe` it is needed.'),
  }),
  {
    test: (spec) => spec.bundleEndpointProfile.type === 'https_web' || spec.trustDomainBundle !== undefined,
    cel: "self.bundleEndpointProfile.type == 'https_web' || has(self.trustDomainBundle)",
    field: 'trustDomainBundle',
    message: 'is needed with https_spiffe: without it nobody could tell who serves the endpoint',
  },
  {
    test: ({ trustDomain, bundleEndpointProfile: { endpointSPIFFEID } }) => endpointSPIFFEID === undefined || endpointSPIFFEID.startsWith(`spiffe://${trustDomain}/`),
    cel: "!has(self.bundleEndpointProfile.endpointSPIFFEID) || self.bundleEndpointProfile.endpointSPIFFEID.startsWith('spiffe://' + self.trustDomain + '/')",
    field: 'bundleEndpointProfile',
    message: 'endpointSPIFFEID must be of the same trust domain',
  },
).describe('Another trust domain whose identities are believed: its workloads may call ours, as far as policies allow, and ours theirs. Sources that name a namespace or a service account match theirs of the same name too, as in Istio: name `trustDomains` or `principals` beside them.');
