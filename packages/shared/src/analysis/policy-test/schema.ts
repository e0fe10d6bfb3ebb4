import { z } from 'zod';
import { API_VERSION, authorizationPolicy, dnsLabel, meshSpec, peerAuthentication, port, requestAuthentication, service, trustDomainName } from '../../resources/index.ts';

/** Istio's own documents are taken as they are, so that a migration can be tested before anything is rewritten. */
const apiVersion = z.enum([API_VERSION, 'security.istio.io/v1', 'security.istio.io/v1beta1']).default(API_VERSION);

/** Metadata as Kubernetes allows it: a subdomain for a name, `default` for a namespace that is left out. */
const metadata = z.strictObject({
  name: z.string().min(1).max(253).regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be a lower-case DNS name'),
  namespace: dnsLabel.default('default'),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  creationTimestamp: z.iso.datetime().optional(),
  generation: z.int().optional(),
  uid: z.string().max(64).optional(),
  resourceVersion: z.string().max(32).optional(),
});

const inTest = <S extends z.ZodRawShape>(schema: z.ZodObject<S>) => schema.extend({ apiVersion, metadata });

/** What `spec.resources` may hold, by kind. */
export const TESTED_KINDS = {
  AuthorizationPolicy: inTest(authorizationPolicy),
  PeerAuthentication: inTest(peerAuthentication),
  RequestAuthentication: inTest(requestAuthentication),
  Service: inTest(service),
} as const;

const validity = z.enum(['valid', 'expired', 'not-yet-valid', 'bad-signature', 'unknown-issuer', 'malformed', 'jwks-unavailable']);
const values = z.union([z.string(), z.array(z.string()).max(100)]).transform((value) => (typeof value === 'string' ? [value] : value));

const request = z.strictObject({
  protocol: z.enum(['http', 'grpc', 'tcp']).default('http'),
  source: z
    .strictObject({
      /** SPIFFE ID of the verified peer; null or absent: a plaintext peer. */
      principal: z.string().max(4096).nullable().default(null),
      ip: z.string().max(64).default(''),
      /** Absent: the direct peer's address. */
      remoteIp: z.string().max(64).optional(),
    })
    .prefault({}),
  destination: z
    .strictObject({
      namespace: dnsLabel.default('default'),
      labels: z.record(z.string(), z.string()).default({}),
      serviceAccount: z.string().max(253).optional(),
      /** Services that lead to the workload, besides those of `resources` that select it. */
      services: z.array(dnsLabel).default([]),
      ip: z.string().max(64).default(''),
      port: port.default(80),
    })
    .prefault({}),
  /** Not looked at for protocol tcp. */
  http: z
    .strictObject({
      /** Absent: GET, or POST for protocol grpc. */
      method: z.string().max(256).optional(),
      host: z.string().max(4096).default(''),
      path: z.string().max(65_536).default('/'),
      headers: z.record(z.string(), values).default({}),
    })
    .prefault({}),
  connection: z.strictObject({ sni: z.string().max(255).optional() }).prefault({}),
  jwts: z
    .array(
      z.strictObject({
        location: z.string().regex(/^(header|param|cookie):.+$/, 'must be header:NAME, param:NAME or cookie:NAME'),
        /** Absent: `Bearer ` in the Authorization header, nothing elsewhere. */
        prefix: z.string().max(128).optional(),
        validity: validity.default('valid'),
        claims: z.record(z.string(), z.unknown()).default({}),
      }),
    )
    .max(16)
    .default([]),
  /** What external authorizers answer, by provider; one that is not named does not answer, which denies. */
  authorizers: z.record(z.string(), z.enum(['allow', 'deny'])).default({}),
});

const expectation = z
  .strictObject({
    decision: z.enum(['ALLOW', 'DENY']).optional(),
    status: z.int().min(100).max(599).optional(),
    mtlsMode: z.enum(['DISABLE', 'PERMISSIVE', 'STRICT']).optional(),
    normalizedPath: z.string().max(65_536).optional(),
  })
  .refine((expect) => Object.keys(expect).length > 0, 'must expect something: decision, status, mtlsMode or normalizedPath');

/** Kind `PolicyTest`: what a set of policies must say to a list of requests. It lives in files, not in the store. */
export const policyTest = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('PolicyTest'),
  metadata: z.strictObject({ name: z.string().min(1).max(253), namespace: dnsLabel.optional(), labels: z.record(z.string(), z.string()).optional(), annotations: z.record(z.string(), z.string()).optional() }),
  spec: z.strictObject({
    mesh: meshSpec.extend({ trustDomain: trustDomainName.default('cluster.local') }).prefault({}),
    /** Objects of {@link TESTED_KINDS}; each is checked by itself. */
    resources: z.array(z.unknown()).max(20_000).default([]),
    cases: z.array(z.strictObject({ name: z.string().min(1).max(512), request: request.prefault({}), expect: expectation })).min(1).max(100_000),
  }),
});

export type PolicyTest = z.infer<typeof policyTest>;
export type TestRequest = z.infer<typeof request>;
export type TestCase = PolicyTest['spec']['cases'][number];
export type Expectation = z.infer<typeof expectation>;
