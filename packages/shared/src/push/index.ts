import { z } from 'zod';
import { type DenyEvent, FLOW_REASONS, type Flow, PORT_PROTOCOLS, type ShadowCount } from '../mesh/index.ts';
import { authorizationPolicy, locality, mesh, peerAuthentication, proxyName, requestAuthentication, trafficPolicy, trustDomainName, workload } from '../resources/index.ts';
import { MAX_KEYS, publicJwk } from './key-set.ts';

export { isDiscovery, KeySetError, keySourceOf, type PublicJwk, readKeySet } from './key-set.ts';
export * from './port-ranges.ts';
export * from './sidecar.ts';

/**
 * The contract between the operator and its proxies (ADR 0002).
 *
 * Two TLS 1.3 ports of the operator, JSON over HTTP/2:
 *
 * Join port (server authentication only, trusted through the bundle that came with the join token):
 * - `POST /v1/join` {@link joinRequest} -> {@link svidResponse}: a single-use token enrols the proxy's machine key.
 * - `POST /v1/challenge` {@link challengeRequest} -> {@link challengeResponse}
 * - `POST /v1/reattest` {@link reattestRequest} -> {@link svidResponse}: a proxy whose SVID expired proves its machine key.
 * - `POST /v1/attest` {@link attestRequest} -> {@link svidResponse}: a proxy in a pod proves it by its projected token, at its
 *   start and whenever its SVID has expired. It needs no join token and no machine key.
 *
 * Stream port (mutual TLS with the proxy's SVID `spiffe://<td>/sallyport/proxy/<name>`):
 * - `POST /v1/config` {@link subscribeRequest} -> endless NDJSON of {@link configDelta}; a blank line is a keep-alive
 *   that comes at least every 10 s.
 * - `POST /v1/ack` {@link ackRequest} -> 204
 * - `POST /v1/svid` {@link svidRequest} -> {@link svidResponse}, for its own identity or for a workload that it serves.
 * - `POST /v1/jwt` {@link jwtRequest} -> {@link jwtResponse}: a JWT-SVID for a workload that it serves.
 * - `POST /v1/report` {@link reportRequest} -> {@link reportResponse}, at least once, deduplicated by (proxy, epoch, seq).
 *
 * Errors are {@link pushError} with 400 (bad request), 401 (unknown or used token, bad signature), 403 (not yours),
 * 409 (out of order), 413 (too large), 429 or 503 with `Retry-After`.
 */

const pem = z.string().max(64 * 1024);
const name = z.string().min(1).max(63).regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
const millis = z.int().min(0);

export const joinRequest = z.strictObject({
  token: z.string().min(20).max(200),
  proxy: proxyName,
  role: z.enum(['node', 'sidecar']),
  /** SPKI PEM of the proxy's machine key (ECDSA P-256): what it proves later, when its SVID has expired. */
  machineKey: pem,
  csr: pem,
});
export const challengeRequest = z.strictObject({ proxy: proxyName });
export const challengeResponse = z.strictObject({ nonce: z.string().min(32).max(128), expiresAt: millis });
export const reattestRequest = z.strictObject({
  proxy: proxyName,
  nonce: z.string().min(32).max(128),
  /** base64 of an ECDSA P-256 SHA-256 signature by the machine key over `sallyport-reattest:<proxy>:<nonce>`. */
  signature: z.string().max(256),
  csr: pem,
});
/**
 * By a projected service account token (KEP-1205), audience {@link TOKEN_AUDIENCE}, bound to the pod in which the proxy runs:
 * the kubelet writes a new one into the same file before the old one ends, so the file is read for each attempt and the token
 * is kept nowhere. The name must be that of the pod, `<pod>.<namespace>`.
 *
 * Refused with 401 when the token is not good (another audience, expired, bound to no pod or to one that is gone), with 403 when
 * it is good and not this proxy's, with 404 by an operator that has no Kubernetes to ask, and with 503 while that does not answer.
 */
export const attestRequest = z.strictObject({
  token: z.string().min(20).max(16 * 1024),
  proxy: proxyName,
  role: z.enum(['node', 'sidecar']),
  csr: pem,
});
/** Audience of the tokens by which pods attest: nobody else accepts them, and we accept no others. */
export const TOKEN_AUDIENCE = 'sallyport.dev';

export const svidRequest = z.strictObject({
  /** `null` asks for the proxy's own SVID; otherwise the workload, which must be served by this proxy. */
  workload: z.strictObject({ namespace: name, name }).nullable(),
  /** Only its public key and proof of possession are used; the identity comes from what was attested. */
  csr: pem,
});
export const svidResponse = z.strictObject({
  spiffeId: z.string().max(2048),
  /** Leaf first, then what leads to a root of the bundle, and on to the root of the CA’s parent where there is one. */
  chain: z.array(pem).min(1).max(8),
  /** Roots of our own trust domain. */
  bundle: z.array(pem).min(1).max(16),
  /** Milliseconds since the epoch at which to renew: half of the lifetime with jitter. */
  renewAt: millis,
});

/** Audiences of one JWT-SVID; the standard recommends one. */
export const jwtRequest = z.strictObject({
  /** The workload, which must be served by this proxy. */
  workload: z.strictObject({ namespace: name, name }),
  audience: z.array(z.string().min(1).max(1024)).min(1).max(16),
});
export const jwtResponse = z.strictObject({ token: z.string().max(64 * 1024), expiresAt: millis });

/** One endpoint of a service: where its workload's proxy (or a workload outside the mesh) listens. */
const endpoint = z.strictObject({
  workload: name,
  address: z.string(),
  /** By which redirected callers reach it too, at its own ports and without HBONE. */
  otherAddresses: z.array(z.string().max(64)).max(8).optional(),
  port: z.int(),
  /** The SPIFFE ID that must answer; null for a workload outside the mesh, which is called in plaintext. */
  spiffeId: z.string().nullable(),
  locality: locality.optional(),
  /** Port of the address at which its proxy takes HBONE; null for none. Saved configurations of before 0.2 have none. */
  hbone: z.int().min(1).max(65_535).nullable().default(null),
});
const serviceConfig = z.strictObject({
  namespace: name,
  name,
  /** Addresses of the service itself (cluster IPs), which lead to any of its endpoints. */
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(16).optional(),
  ports: z.array(
    z.strictObject({ port: z.int(), protocol: z.enum(PORT_PROTOCOLS), endpoints: z.array(endpoint).max(5000) }),
  ),
});

/** A key that signs JWT-SVIDs of its trust domain; see `publicJwk` for what may be in one. */
const jwtAuthority = z.strictObject({ kid: z.string().min(1).max(512), jwk: z.record(z.string().max(8), z.string().max(2048)) });
/** A trust domain's bundle: good for the names of that trust domain and of no other. */
const bundle = z.strictObject({ trustDomain: trustDomainName, roots: z.array(pem).max(64), jwtKeys: z.array(jwtAuthority).max(64).default([]) });
/** `spiffe_sequence` of our own: an ACK of this entry is an acknowledgement of that number. */
const ownBundle = bundle.extend({ sequence: z.int().min(1).optional() });

/**
 * One named piece of a proxy's configuration. Names are unique: `mesh`, `bundle`,
 * `federation/<trust domain>`, `workload/<ns>/<name>`,
 * `service/<ns>/<name>`, `authz/<ns>/<name>`, `peer/<ns>/<name>`, `authn/<ns>/<name>`, `traffic/<ns>/<name>`, `jwks/<sha256 of its source>`.
 * A proxy gets: the workloads it serves, every service that they can call with the traffic policies that rule them, the
 * authorization, peer and request authentication policies that bear on its workloads (including those of the root
 * namespace), the keys that those need as far as they are known, the mesh and the trust bundle.
 */
export const configEntry = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('mesh'), value: mesh }),
  z.strictObject({ type: z.literal('bundle'), value: ownBundle }),
  /** The bundle of another trust domain whose identities are believed. */
  z.strictObject({ type: z.literal('federation'), value: bundle }),
  z.strictObject({
    type: z.literal('workload'),
    /** `services` are those that select this workload: they name the service on inbound flows. */
    value: z.strictObject({
      resource: workload,
      spiffeId: z.string(),
      services: z.array(z.strictObject({ name, targetPort: z.int() })),
    }),
  }),
  z.strictObject({ type: z.literal('service'), value: serviceConfig }),
  z.strictObject({ type: z.literal('authz'), value: authorizationPolicy }),
  z.strictObject({ type: z.literal('peer'), value: peerAuthentication }),
  z.strictObject({ type: z.literal('authn'), value: requestAuthentication }),
  /** `services` are those, in the policy's namespace, that it rules: each belongs to one policy at most. */
  z.strictObject({ type: z.literal('traffic'), value: z.strictObject({ resource: trafficPolicy, services: z.array(name).min(1).max(16) }) }),
  /**
   * Keys by where they came from ({@link keySourceOf}). Without the time of their fetching: that would change with every
   * fetch, and each would be a push that says nothing new. The operator shows their age.
   */
  z.strictObject({ type: z.literal('jwks'), value: z.strictObject({ source: z.string().max(4096), keys: z.array(publicJwk).min(1).max(MAX_KEYS) }) }),
]);
export type ConfigEntry = z.infer<typeof configEntry>;
export type ServiceConfig = z.infer<typeof serviceConfig>;

/** What the proxy already holds, so that a reconnect costs only what changed. */
export const subscribeRequest = z.strictObject({ proxy: proxyName, have: z.record(z.string(), z.string()) });

/**
 * A change of the proxy's whole set, applied all or nothing. `setHash` is over the complete resulting set; a proxy
 * whose own set hashes differently must NACK with `resync: true` and subscribe anew with an empty `have`.
 */
export const configDelta = z.strictObject({
  nonce: z.string().max(64),
  /** Store revision that this delta reflects. */
  version: z.string().max(32),
  upserts: z.array(z.strictObject({ name: z.string(), hash: z.string(), entry: configEntry })),
  removed: z.array(z.string()),
  setHash: z.string(),
});
export type ConfigDelta = z.infer<typeof configDelta>;

/** `errors` empty is an ACK; otherwise a NACK, and the proxy still runs the set it had. */
export const ackRequest = z.strictObject({
  nonce: z.string().max(64),
  version: z.string().max(32),
  errors: z.array(z.strictObject({ name: z.string().max(200), message: z.string().max(1000) })).max(100),
  resync: z.boolean().default(false),
});

const flowSource = z.strictObject({ principal: z.string().max(2048).nullable(), ip: z.string().max(64) });
const reason = z.enum(FLOW_REASONS);
const count = z.int().min(0);

export const flow = z.strictObject({
  reporter: proxyName,
  side: z.enum(['inbound', 'outbound']),
  source: flowSource,
  destination: z.strictObject({ namespace: name, workload: name.nullable(), service: name.nullable(), port: z.int() }),
  protocol: z.enum(['http', 'tcp']),
  method: z.string().max(64).nullable(),
  path: z.string().max(1024).nullable(),
  samplePath: z.string().max(1024).nullable(),
  mtls: z.enum(['mutual', 'plaintext', 'unknown']),
  verdict: z.enum(['allowed', 'denied', 'failed']),
  reason: reason.nullable(),
  policy: z.string().max(200).nullable(),
  count,
  bytesReceived: count,
  bytesSent: count,
  firstSeen: millis,
  lastSeen: millis,
}) satisfies z.ZodType<Flow>;

export const denyEvent = z.strictObject({
  at: millis,
  reporter: proxyName,
  source: flowSource,
  destination: z.strictObject({ namespace: name, workload: name, service: name.nullable(), port: z.int() }),
  method: z.string().max(64).nullable(),
  path: z.string().max(1024).nullable(),
  policy: z.string().max(200).nullable(),
  reason,
  traceId: z.string().max(64).nullable(),
}) satisfies z.ZodType<DenyEvent>;

export const shadowCount = z.strictObject({
  policy: z.string().max(200),
  action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']),
  rule: z.int().min(0),
  namespace: name,
  workload: name,
  port: z.int(),
  count,
}) satisfies z.ZodType<ShadowCount>;

/** One SVID as the proxy holds it now: what lets the console compare the served with the recorded certificate. */
const heldSvid = z.strictObject({
  spiffeId: z.string(),
  serial: z.string(),
  notAfter: millis,
  workload: z.strictObject({ namespace: name, name }).nullable(),
  /** Of those alone that a Workload API gave: the operator has no record of them. */
  notBefore: millis.optional(),
});

/**
 * Telemetry for [from, to), sent every few seconds even when nothing happened: an empty report is proof of silence.
 * `epoch` is random for each process; `seq` counts from 1. A report is kept and sent again until it is accepted.
 * `droppedFrom` tells since when something is missing. Before `from`: what lies before this report is lost, and its own span is
 * whole. From `from` on: this report is itself incomplete from then on, and proves nothing about the time up to `to`.
 */
export const reportRequest = z.strictObject({
  epoch: z.string().min(8).max(64),
  seq: z.int().min(1),
  from: millis,
  to: millis,
  droppedFrom: millis.nullable(),
  flows: z.array(flow).max(20_000),
  denies: z.array(denyEvent).max(1000),
  shadows: z.array(shadowCount).max(5000).default([]),
  svids: z.array(heldSvid).max(5000),
  configVersion: z.string().nullable(),
  configAgeSeconds: z.number().nullable(),
});
export type ReportRequest = z.infer<typeof reportRequest>;
export const reportResponse = z.strictObject({ acceptedSeq: z.int() });

export const pushError = z.strictObject({ error: z.strictObject({ code: z.string(), message: z.string() }) });

/** The text whose SHA-256 is a delta's `setHash`: sorted `name=hash` lines of the whole set. */
export function setHashInput(hashes: Readonly<Record<string, string>>): string {
  return Object.keys(hashes)
    .sort()
    .map((key) => `${key}=${hashes[key]}`)
    .join('\n');
}
