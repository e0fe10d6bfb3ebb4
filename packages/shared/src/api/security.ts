import { z } from 'zod';
import { coverageView, instant, windowView } from './common.ts';

export const certificate = z.strictObject({
  spiffeId: z.string(),
  serial: z.string(),
  issuer: z.string(),
  notBefore: instant,
  notAfter: instant,
  /** Share of its lifetime that has passed, 0 to 1 (above 1: expired). */
  lifetimeUsed: z.number(),
  workload: z.string().nullable(),
  namespace: z.string().nullable(),
  proxy: z.string(),
  nextRotation: instant,
  /** served: the proxy says it holds this one. recorded: issued, not yet seen in a report. overdue: past its rotation. expired. */
  state: z.enum(['served', 'recorded', 'overdue', 'expired']),
});
/** `GET /api/v1/certificates`: the newest SVID of each workload and proxy. The CLI prints `items` alone. */
export const certificatesView = z.strictObject({
  items: z.array(certificate),
  /** The guide's metric. With rotation at half-life, healthy ages run from 0 to 0.5 of the lifetime, so about half is normal. */
  pastHalfRotationInterval: z.number().nullable(),
  issuer: z.strictObject({ subject: z.string(), notAfter: instant, serial: z.string() }),
  root: z.strictObject({ subject: z.string(), notAfter: instant, fingerprint: z.string() }),
  coverage: coverageView,
});

export const deny = z.strictObject({
  at: instant,
  source: z.strictObject({ principal: z.string().nullable(), ip: z.string(), workload: z.string().nullable() }),
  destination: z.strictObject({ namespace: z.string(), workload: z.string(), service: z.string().nullable(), port: z.int() }),
  method: z.string().nullable(),
  path: z.string().nullable(),
  policy: z.string().nullable(),
  reason: z.string(),
  reporter: z.string(),
  traceId: z.string().nullable(),
});
/** `GET /api/v1/denies?window=&namespace=&limit=`: newest first. */
export const deniesView = z.strictObject({ window: windowView, coverage: coverageView, total: z.int(), items: z.array(deny) });

export const signal = z.strictObject({
  id: z.string(),
  kind: z.enum(['deny-burst', 'deny-breadth', 'new-edge', 'plaintext-after-strict', 'rotation-overdue', 'telemetry-lost', 'weakening-change']),
  severity: z.enum(['info', 'warning', 'critical']),
  state: z.enum(['open', 'closed']),
  title: z.string(),
  detail: z.string(),
  /** Who it is about: a SPIFFE ID, an address, a proxy or a namespace. */
  subject: z.string(),
  namespace: z.string().nullable(),
  count: z.int(),
  openedAt: instant,
  lastSeen: instant,
  closedAt: instant.nullable(),
  /** Candidate techniques of MITRE ATT&CK: a pointer, not an attribution. */
  techniques: z.array(z.string()),
  link: z.string(),
});
export const signalsView = z.strictObject({ items: z.array(signal), coverage: coverageView });

export const proxyView = z.strictObject({
  name: z.string(),
  role: z.enum(['node', 'sidecar']),
  connected: z.boolean(),
  lastReport: instant.nullable(),
  live: z.boolean(),
  configVersion: z.string().nullable(),
  configAgeSeconds: z.number().nullable(),
  lastAck: instant.nullable(),
  nack: z.string().nullable(),
  workloads: z.int(),
  enrolledAt: instant,
});
export const proxiesView = z.strictObject({ items: z.array(proxyView), revision: z.string() });

export const auditEntry = z.strictObject({
  seq: z.int(),
  at: instant,
  actor: z.string(),
  via: z.enum(['console', 'cli', 'api', 'system']),
  action: z.string(),
  resource: z.string(),
  before: z.unknown(),
  after: z.unknown(),
  previousHash: z.string(),
  hash: z.string(),
});
export const auditView = z.strictObject({ items: z.array(auditEntry), next: z.int().nullable(), chain: z.enum(['intact', 'broken']) });

/** `POST /api/v1/evidence` answers with the bundle as `application/zip`. Times are [from, to). */
export const evidenceRequest = z.strictObject({ from: instant, to: instant });
/** `GET /api/v1/evidence/key`: hand this to the auditor by another way than the bundle. */
export const evidenceKey = z.strictObject({ keyId: z.string(), publicKeyPem: z.string(), fingerprint: z.string() });
export const evidenceList = z.strictObject({
  items: z.array(z.strictObject({ id: z.string(), from: instant, to: instant, createdAt: instant, createdBy: z.string(), sha256: z.string(), bytes: z.int() })),
});

export const enrollRequest = z.strictObject({ proxy: z.string().optional() });

/** `GET /api/v1/overview`: what the first page shows. */
export const overviewView = z.strictObject({
  window: windowView,
  coverage: coverageView,
  trustDomain: z.string(),
  counts: z.strictObject({ namespaces: z.int(), services: z.int(), workloads: z.int(), meshed: z.int(), policies: z.int() }),
  calls: z.strictObject({ requests: z.int(), denied: z.int(), mutual: z.int(), plaintext: z.int(), unknown: z.int() }),
  edges: z.strictObject({ expected: z.int(), undeclared: z.int(), denied: z.int(), unused: z.int() }),
  openSignals: z.array(signal),
  stages: z.array(z.strictObject({ namespace: z.string(), stage: z.string().nullable() })),
  certificates: z.strictObject({ total: z.int(), overdue: z.int(), expired: z.int(), pastHalfRotationInterval: z.number().nullable() }),
});

export type Certificate = z.infer<typeof certificate>;
export type CertificatesView = z.infer<typeof certificatesView>;
/** `GET /api/v1/shadows?window=&namespace=`: calls that DryRun and AUDIT policies matched, which decided nothing. */
export const shadowsView = z.strictObject({
  window: windowView,
  coverage: coverageView,
  items: z.array(z.strictObject({
    /** `namespace/name`. */
    policy: z.string(),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']),
    rule: z.int(),
    namespace: z.string(),
    workload: z.string(),
    port: z.int(),
    count: z.int(),
  })),
});
export type ShadowsView = z.infer<typeof shadowsView>;
export type DeniesView = z.infer<typeof deniesView>;
export type SignalView = z.infer<typeof signal>;
export type SignalsView = z.infer<typeof signalsView>;
export type ProxiesView = z.infer<typeof proxiesView>;
export type AuditEntry = z.infer<typeof auditEntry>;
export type AuditView = z.infer<typeof auditView>;
export type OverviewView = z.infer<typeof overviewView>;
