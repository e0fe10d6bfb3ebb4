import { z } from 'zod';
import { checked } from './checks.ts';
import { trustDomainName } from './match.ts';
import { dnsLabel, duration, port } from './meta.ts';

/** Where an external authorizer listens, by Istio's names (MeshConfig `extensionProviders`). */
const authorizer = {
  service: z.string().min(1).max(253).regex(/^[A-Za-z0-9.:-]+$/, 'must be a host name or an IP address').describe('Host name or address of the authorizer.'),
  port: port.describe('Its port.'),
  timeout: duration.default('1s').describe('How long an answer may take.'),
  // Istio's `failOpen` is not here on purpose: an authorizer that does not answer denies.
  statusOnError: z.int().min(400).max(599).default(403).describe('HTTP status when it does not answer. The request is denied in any case: there is no `failOpen`.'),
};
const headerNames = z.array(z.string().min(1).max(128)).max(64);

const extensionProvider = checked(
  z.strictObject({
    name: dnsLabel.describe('The name that CUSTOM policies use.'),
    envoyExtAuthzHttp: z
      .strictObject({
        ...authorizer,
        pathPrefix: z.string().max(256).regex(/^\//, 'must begin with a slash').optional().describe('Text before the path of the question.'),
        includeRequestHeadersInCheck: headerNames.default([]).describe('Request headers that the authorizer gets.'),
        headersToUpstreamOnAllow: headerNames.default([]).describe('Headers of its answer that the application gets.'),
        headersToDownstreamOnDeny: headerNames.default([]).describe('Headers of its answer that the client gets on denial.'),
      })
      .optional()
      .describe('An authorizer that is asked by HTTP.'),
    envoyExtAuthzGrpc: z.strictObject(authorizer).optional().describe('An authorizer that speaks Envoy’s gRPC protocol ext_authz v3.'),
  }),
  {
    test: (provider) => (provider.envoyExtAuthzHttp === undefined) !== (provider.envoyExtAuthzGrpc === undefined),
    cel: 'has(self.envoyExtAuthzHttp) != has(self.envoyExtAuthzGrpc)',
    message: 'needs exactly one of envoyExtAuthzHttp and envoyExtAuthzGrpc',
  },
);

export const meshSpec = z.strictObject({
  trustDomain: trustDomainName.describe('SPIFFE trust domain of the mesh’s identities.'),
  trustDomainAliases: z.array(trustDomainName).max(32).optional().describe('Other names of the trust domain; policies that name one of them mean all. For migration.'),
  rootNamespace: dnsLabel.default('sallyport-system').describe('Namespace whose policies apply to the whole mesh.'),
  compatibility: z.enum(['sallyport', 'istio']).default('sallyport').describe('`istio` gives Istio’s exact verdicts where ours are stricter (docs/policy-differences.md).'),
  pathNormalization: z
    .enum(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
    .optional()
    .describe('How a path is brought to its normal form before it is matched and forwarded. Absent: DECODE_AND_MERGE_SLASHES, stricter than Istio’s BASE, or BASE with `compatibility: istio`.'),
  numTrustedProxies: z.int().min(0).max(16).default(0).describe('Proxies in front of ours whose X-Forwarded-For entry is believed; 0 takes the direct peer as the client.'),
  extensionProviders: z.array(extensionProvider).max(16).optional().describe('External authorizers that CUSTOM policies may name.'),
  jwks: z
    .strictObject({
      allowedHosts: z.array(z.string().min(1).max(260)).max(64).default([]).describe('Hosts (with or without port) that keys may be fetched from although they resolve to a private or loopback address.'),
      refresh: duration.default('20m').describe('How often keys are fetched anew.'),
    })
    .prefault({})
    .describe('How the operator fetches the keys of token issuers.'),
  certificates: z
    .strictObject({ leafLifetime: duration.default('24h').describe('How long a workload’s certificate is valid.') })
    .prefault({})
    .describe('Certificates of workloads.'),
  denylist: z
    .strictObject({
      serials: z.array(z.string().min(1).max(40).regex(/^[0-9a-f]+$/, 'must be a serial number in lower-case hexadecimal')).max(1000).default([]).describe('Serial numbers of certificates, in lower-case hexadecimal.'),
      spiffeIds: z.array(z.string().min(1).max(2048).regex(/^spiffe:\/\/[a-z0-9._-]+\/[A-Za-z0-9._/-]+$/, 'must be the SPIFFE ID of a workload')).max(1000).default([]).describe('SPIFFE IDs, whatever certificate they come with.'),
    })
    .prefault({})
    .describe('Identities that are not to be believed any more. Proxies close their connections at once and take no new ones.'),
  strict: z
    .strictObject({
      window: duration.default('24h').describe('How long a namespace must be without plaintext.'),
      watch: duration.default('10m').describe('How long each stage of a step to STRICT is watched.'),
      minimumCoverage: z.number().min(0.5).max(1).default(0.95).describe('Share of the window that must have been observed.'),
    })
    .prefault({})
    .describe('The gate before a namespace becomes STRICT.'),
}).describe('What holds for the mesh as a whole. There is one, with the name `default`.');

export type MeshSpec = z.infer<typeof meshSpec>;
export type ExtensionProvider = z.infer<typeof extensionProvider>;
