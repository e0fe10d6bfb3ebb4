import { z } from 'zod';
import { type Flow, FLOW_REASONS } from '../mesh/index.ts';
import { coverageView, windowView } from './common.ts';

/** A recorded flow as the API and files carry it. */
export const recordedFlow = z.strictObject({
  reporter: z.string(),
  side: z.enum(['inbound', 'outbound']),
  source: z.strictObject({ principal: z.string().nullable(), ip: z.string() }),
  destination: z.strictObject({ namespace: z.string(), workload: z.string().nullable(), service: z.string().nullable(), port: z.int() }),
  protocol: z.enum(['http', 'tcp']),
  method: z.string().nullable(),
  path: z.string().nullable(),
  samplePath: z.string().nullable(),
  mtls: z.enum(['mutual', 'plaintext', 'unknown']),
  verdict: z.enum(['allowed', 'denied', 'failed']),
  reason: z.enum(FLOW_REASONS).nullable(),
  policy: z.string().nullable(),
  count: z.int().min(0),
  bytesReceived: z.int().min(0),
  bytesSent: z.int().min(0),
  firstSeen: z.int(),
  lastSeen: z.int(),
}) satisfies z.ZodType<Flow>;

/** `GET /api/v1/flows?window=&namespace=&limit=`: calls as their receivers counted them, the most frequent first. */
export const flowsView = z.strictObject({
  window: windowView,
  coverage: coverageView,
  /** Kinds of call in the window; more than there are items when the limit left some out. */
  total: z.int(),
  items: z.array(recordedFlow),
});
export type FlowsView = z.infer<typeof flowsView>;

/** One call in full, as an explanation takes it and a witness shows it. */
export const callView = z.strictObject({
  /** SPIFFE ID; null for a peer that speaks plaintext. */
  principal: z.string().nullable(),
  ip: z.string(),
  /** The client behind trusted proxies; null: the direct peer. */
  remoteIp: z.string().nullable(),
  /** `namespace/name` of the workload that is called. */
  workload: z.string(),
  port: z.int(),
  protocol: z.enum(['http', 'tcp']),
  method: z.string().nullable(),
  /** Request target as on the wire, query included. */
  path: z.string().nullable(),
  host: z.string().nullable(),
  headers: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  sni: z.string().nullable(),
  /** Claims of the accepted token as JSON text; null without one. */
  claims: z.string().nullable(),
});

const ACTION = z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']);
const MTLS_MODE = z.enum(['STRICT', 'PERMISSIVE', 'DISABLE']);
/** Stored objects that an analysis looked at. */
const analysed = z.strictObject({ policies: z.int(), workloads: z.int() });

export const finding = z.strictObject({
  code: z.string(),
  severity: z.enum(['error', 'warn', 'info']),
  /** `namespace/name`. */
  policy: z.string(),
  field: z.string(),
  message: z.string(),
  remedy: z.string(),
});
/** `GET /api/v1/policies/lint`: over the stored policies, errors first. */
export const lintView = z.strictObject({
  analysed,
  counts: z.strictObject({ error: z.int(), warn: z.int(), info: z.int() }),
  /** At most 1,000; `counts` are of all. */
  findings: z.array(finding),
});

/** `POST /api/v1/policies/explain`: nothing is written. What is left out takes the value that is usual for the destination. */
export const explainRequest = z.strictObject({
  /** `namespace/workload`, `namespace/service-account`, a SPIFFE ID or `plaintext`. */
  from: z.string().min(1).max(2048),
  /** `namespace/workload` or `namespace/service`. */
  to: z.string().min(3).max(256),
  port: z.int().min(1).max(65_535).optional(),
  protocol: z.enum(['http', 'tcp']).optional(),
  method: z.string().min(1).max(64).optional(),
  path: z.string().min(1).max(8192).optional(),
  host: z.string().max(512).optional(),
  ip: z.union([z.ipv4(), z.ipv6()]).optional(),
  remoteIp: z.union([z.ipv4(), z.ipv6()]).optional(),
  headers: z.array(z.strictObject({ name: z.string().min(1).max(128), value: z.string().max(4096) })).max(50).optional(),
  sni: z.string().max(256).optional(),
  /** Claims of a token that `RequestAuthentication` accepted. */
  claims: z.record(z.string(), z.unknown()).optional(),
});

export const explainView = z.strictObject({
  /** What was asked about, with every default that was taken. */
  call: callView,
  verdict: z.strictObject({
    effect: z.enum(['ALLOW', 'DENY', 'ASK']),
    status: z.int(),
    reason: z.string().nullable(),
    policy: z.string().nullable(),
    rule: z.int().nullable(),
    provider: z.string().nullable(),
    explanation: z.string(),
  }),
  mtls: z.strictObject({ mode: MTLS_MODE, policy: z.string().nullable(), scope: z.string(), refused: z.boolean() }),
  /** The path that was matched; null for TCP, and when it was refused. */
  matchedPath: z.string().nullable(),
  decidedBy: z.strictObject({ policy: z.string(), rule: z.int().nullable(), fields: z.array(z.string()) }).nullable(),
  policies: z.array(
    z.strictObject({
      policy: z.string(),
      action: ACTION,
      enforcement: z.enum(['Enforce', 'DryRun']),
      applies: z.boolean(),
      why: z.string(),
      /** First rule that matches. */
      matched: z.int().nullable(),
      rules: z.array(
        z.strictObject({
          index: z.int(),
          matched: z.boolean(),
          neverOnTcp: z.boolean(),
          decidedBy: z.array(z.string()),
          clauses: z.array(z.strictObject({ field: z.string(), values: z.array(z.string()), more: z.int(), seen: z.string(), matched: z.boolean(), ignored: z.boolean() })),
        }),
      ),
      /** Rules that are not listed: none of them matched. */
      rulesOmitted: z.int(),
    }),
  ),
  /** Policies that do not bear on the workload and are not listed. */
  omitted: z.int(),
});

const way = z.strictObject({
  port: z.int(),
  protocol: z.enum(['http', 'tcp']),
  /** Null when no proxy serves the workload. */
  mode: MTLS_MODE.nullable(),
  effect: z.enum(['ALLOW', 'ASK']),
  /** The rule that lets them in; null when nothing restricts. */
  how: z.strictObject({ policy: z.string(), rule: z.int() }).nullable(),
  /** True when every request gets through, not only some. */
  everything: z.boolean(),
  explanation: z.string(),
  /** A call that gets through. */
  witness: callView,
});

/** `GET /api/v1/policies/reach?to=namespace/workload[&port=]`: who can reach a workload. */
export const reachView = z.strictObject({
  analysed,
  workload: z.string(),
  meshed: z.boolean(),
  /** False when the search was cut short: more may be reachable. */
  complete: z.boolean(),
  total: z.int(),
  /** At most 500. */
  by: z.array(z.strictObject({ kind: z.enum(['plaintext', 'workload', 'named', 'stranger']), principal: z.string().nullable(), label: z.string(), workloads: z.array(z.string()), ways: z.array(way) })),
});

/** `GET /api/v1/policies/blast?from=`: how far an identity gets when each workload that it reaches falls. */
export const blastView = z.strictObject({
  analysed,
  start: z.string(),
  principal: z.string().nullable(),
  complete: z.boolean(),
  reached: z.int(),
  /** At most 500. */
  hops: z.array(z.strictObject({ hop: z.int(), workload: z.string(), identity: z.string().nullable(), from: z.string(), as: z.string().nullable(), ways: z.array(way) })),
});

/** `GET /api/v1/policies/unused?window=`: what a policy allows and no recorded call used. */
export const unusedView = z.strictObject({
  analysed,
  window: windowView,
  coverage: coverageView,
  /** Kinds of call that were read, of how many there are. */
  flows: z.strictObject({ read: z.int(), total: z.int() }),
  /** Why silence is no proof here; never empty. */
  caveat: z.string(),
  totals: z.strictObject({ identities: z.int(), rules: z.int() }),
  /** At most 500 of each. */
  identities: z.array(z.strictObject({ identity: z.string(), workload: z.string(), port: z.int(), policy: z.string(), rule: z.int() })),
  rules: z.array(z.strictObject({ policy: z.string(), rule: z.int() })),
});

/** `POST /api/v1/policies/diff`: the proposal against what is stored. Nothing is written. */
export const diffRequest = z.strictObject({ manifest: z.string().max(1024 * 1024) });
export const diffView = z.strictObject({
  /** True only when it is proven for every call over what is modelled. */
  equal: z.boolean(),
  /** False when the comparison was cut short: differences may be missing. */
  complete: z.boolean(),
  workloads: z.strictObject({ compared: z.int(), changed: z.int() }),
  modelled: z.array(z.string()),
  notes: z.array(z.string()),
  /** Classes beyond those listed. */
  more: z.int(),
  changes: z.array(
    z.strictObject({
      workloads: z.array(z.string()),
      ports: z.array(z.int()),
      protocol: z.enum(['http', 'tcp']),
      before: z.string(),
      after: z.string(),
      where: z.array(z.strictObject({ field: z.string(), values: z.array(z.string()), except: z.boolean(), more: z.int() })),
      witness: z.strictObject({ call: callView, before: z.string(), after: z.string() }),
    }),
  ),
});
export type CallView = z.infer<typeof callView>;
export type FindingView = z.infer<typeof finding>;
export type LintView = z.infer<typeof lintView>;
export type ExplainRequest = z.infer<typeof explainRequest>;
export type ExplainView = z.infer<typeof explainView>;
export type WayView = z.infer<typeof way>;
export type ReachView = z.infer<typeof reachView>;
export type BlastView = z.infer<typeof blastView>;
export type UnusedView = z.infer<typeof unusedView>;
export type DiffView = z.infer<typeof diffView>;
