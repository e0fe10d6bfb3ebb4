import { z } from 'zod';
import { trustDomainName } from './match.ts';
import { dnsLabel, duration, port } from './meta.ts';

/** Where an external authorizer listens, by Istio's names (MeshConfig `extensionProviders`). */
const authorizer = {
  /** Host name or address. */
  service: z.string().min(1).max(253).regex(/^[A-Za-z0-9.:-]+$/, 'must be a host name or an IP address'),
  port,
  timeout: duration.default('1s'),
  /** Istio's `failOpen` is not here on purpose: an authorizer that does not answer denies. */
  statusOnError: z.int().min(400).max(599).default(403),
};
const headerNames = z.array(z.string().min(1).max(128)).max(64);

const extensionProvider = z
  .strictObject({
    name: dnsLabel,
    envoyExtAuthzHttp: z
      .strictObject({
        ...authorizer,
        pathPrefix: z.string().max(256).regex(/^\//, 'must begin with a slash').optional(),
        includeRequestHeadersInCheck: headerNames.default([]),
        headersToUpstreamOnAllow: headerNames.default([]),
        headersToDownstreamOnDeny: headerNames.default([]),
      })
      .optional(),
    envoyExtAuthzGrpc: z.strictObject(authorizer).optional(),
  })
  .refine((provider) => (provider.envoyExtAuthzHttp === undefined) !== (provider.envoyExtAuthzGrpc === undefined), 'needs exactly one of envoyExtAuthzHttp and envoyExtAuthzGrpc');

export const meshSpec = z.strictObject({
  trustDomain: trustDomainName,
  trustDomainAliases: z.array(trustDomainName).max(32).optional(),
  rootNamespace: dnsLabel.default('sallyport-system'),
  /** `istio` gives Istio's exact verdicts where ours are stricter (docs/policy-differences.md). */
  compatibility: z.enum(['sallyport', 'istio']).default('sallyport'),
  /**
   * How a path is brought to its normal form before it is matched and forwarded. Absent: DECODE_AND_MERGE_SLASHES,
   * stricter than Istio's BASE, or BASE with `compatibility: istio`.
   */
  pathNormalization: z.enum(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']).optional(),
  /** Proxies in front of ours whose X-Forwarded-For entry is believed; 0 takes the direct peer as the client. */
  numTrustedProxies: z.int().min(0).max(16).default(0),
  /** External authorizers that CUSTOM policies may name. */
  extensionProviders: z.array(extensionProvider).max(16).optional(),
  jwks: z
    .strictObject({
      /** Hosts (with or without port) that keys may be fetched from although they resolve to a private or loopback address. */
      allowedHosts: z.array(z.string().min(1).max(260)).max(64).default([]),
      refresh: duration.default('20m'),
    })
    .prefault({}),
  certificates: z.strictObject({ leafLifetime: duration.default('24h') }).prefault({}),
  /** The strict gate: how long a namespace must be clean, and how long each stage of a step is watched. */
  strict: z
    .strictObject({
      window: duration.default('24h'),
      watch: duration.default('10m'),
      minimumCoverage: z.number().min(0.5).max(1).default(0.95),
    })
    .prefault({}),
});

export type MeshSpec = z.infer<typeof meshSpec>;
export type ExtensionProvider = z.infer<typeof extensionProvider>;
