import { z } from 'zod';
import { instant } from './common.ts';

export const CA_STATE_NAMES = ['prepared', 'published', 'active', 'old', 'removed'] as const;

/** What happens to a CA certificate next. */
const nextStep = z.strictObject({
  step: z.enum(['prepare-successor', 'publish', 'activate', 'hand-over', 'remove', 'replace-files']),
  /** When it is due; null when it waits for something else than time. */
  at: instant.nullable(),
  /** Live proxies that it waits for, by name. */
  waitsFor: z.array(z.string()),
});

/** One certificate that signs, or an entry of the trust bundle. */
export const caCertificate = z.strictObject({
  id: z.string(),
  /** A root is an entry of the bundle; an issuer signs workloads’ certificates. */
  role: z.enum(['root', 'issuer']),
  /** Id of the root that it leads to; a root’s own. */
  root: z.string(),
  parent: z.string(),
  state: z.enum(CA_STATE_NAMES),
  since: instant,
  subject: z.string(),
  fingerprint: z.string(),
  notBefore: instant,
  notAfter: instant,
  /** Share of its life that has passed, 0 to 1; above 1: expired. */
  lifetimeUsed: z.number(),
  inBundle: z.boolean(),
  /** The bundle’s sequence number that first held it. */
  sequence: z.int().nullable(),
  next: nextStep.nullable(),
  pem: z.string(),
  /** What leads from it to the parent’s root, without that. */
  chain: z.array(z.string()),
});

/** `GET /api/v1/ca`: the CA’s certificates with their states, what comes next and who holds it up. */
/** A root of another trust domain, or one of its keys for JWT-SVIDs: entries of bundles that we fetched or were given. */
const foreignBundleEntry = z.strictObject({
  trustDomain: z.string(),
  use: z.enum(['x509-svid', 'jwt-svid']),
  /** Of a root its name, of a key its `kid`. */
  subject: z.string(),
  /** SHA-256 of a root; null for a key. */
  fingerprint: z.string().nullable(),
  /** Keys have none: they are good for as long as the bundle holds them. */
  notBefore: z.string().nullable(),
  notAfter: z.string().nullable(),
  lifetimeUsed: z.number().nullable(),
});

export const caView = z.strictObject({
  trustDomain: z.string(),
  parent: z.strictObject({ wanted: z.string(), status: z.enum(['True', 'False']), reason: z.string(), message: z.string() }),
  /** `refreshHint` in seconds: how often other trust domains should fetch it. */
  bundle: z.strictObject({ sequence: z.int(), roots: z.int(), refreshHint: z.number() }),
  lifetimes: z.strictObject({ leaf: z.string(), issuer: z.string(), root: z.string(), rootActivation: z.enum(['automatic', 'manual']) }),
  /** Newest first; of those removed the last ten. */
  certificates: z.array(caCertificate),
  /** By trust domain, those that end first before the others. */
  foreign: z.array(foreignBundleEntry),
  /** Our own keys for JWT-SVIDs in the bundle, by their `kid`. */
  jwtKeys: z.array(z.string()),
  /** Live proxies that have not acknowledged the present bundle, and since when it is published. */
  lagging: z.array(z.strictObject({ proxy: z.string(), acknowledged: z.int().nullable() })),
  /** Since the operator started. */
  issuance: z.strictObject({ issued: z.record(z.string(), z.int()), refused: z.record(z.string(), z.int()) }),
  /** Whether the hash chain of the record of issuance holds. */
  record: z.enum(['intact', 'broken']),
});

/** `POST /api/v1/ca/activate`. */
export const caActivateRequest = z.strictObject({ force: z.boolean().default(false) });

/** Answer to `POST /api/v1/ca/rotate-root`, `/rotate-issuer` and `/activate`. */
export const caActionView = z.strictObject({
  steps: z.array(z.strictObject({ step: z.string(), role: z.enum(['root', 'issuer']), subject: z.string() })),
  /** Proxies that cannot verify the others from now on, because they were passed over by force. */
  breaking: z.array(z.string()),
  ca: caView,
});

export type CaCertificate = z.infer<typeof caCertificate>;
export type ForeignBundleEntry = z.infer<typeof foreignBundleEntry>;
export type CaView = z.infer<typeof caView>;
export type CaActionView = z.infer<typeof caActionView>;
