import { z } from 'zod';
import { PORT_PROTOCOLS } from '../mesh/index.ts';
import { coverageView, instant, windowView } from './common.ts';

/** One kind of call that really arrived at the destination in the window. */
export const caller = z.strictObject({
  principal: z.string().nullable(),
  ip: z.string(),
  /** `namespace/name` of the calling workload when known. */
  workload: z.string().nullable(),
  port: z.int(),
  protocol: z.enum(['http', 'tcp']),
  method: z.string().nullable(),
  path: z.string().nullable(),
  mtls: z.enum(['mutual', 'plaintext', 'unknown']),
  requests: z.int(),
  denied: z.int(),
  lastSeen: instant,
  declared: z.boolean(),
});
/** `GET /api/v1/callers?namespace=&service=&window=` */
export const callersView = z.strictObject({
  namespace: z.string(),
  service: z.string(),
  selector: z.record(z.string(), z.string()),
  ports: z.array(z.strictObject({ port: z.int(), protocol: z.enum(PORT_PROTOCOLS) })),
  window: windowView,
  coverage: coverageView,
  callers: z.array(caller),
});

/** A kind of recorded call whose verdict would change or stay, replayed through the evaluator that proxies run. */
export const impact = z.strictObject({
  source: z.strictObject({ principal: z.string().nullable(), ip: z.string(), workload: z.string().nullable() }),
  destination: z.strictObject({ namespace: z.string(), workload: z.string(), service: z.string().nullable(), port: z.int() }),
  method: z.string().nullable(),
  path: z.string().nullable(),
  mtls: z.enum(['mutual', 'plaintext', 'unknown']),
  requests: z.int(),
  lastSeen: instant,
  explanation: z.string(),
  policy: z.string().nullable(),
  /** True when several concrete paths were counted together and only one of them was replayed. */
  approximate: z.boolean(),
});

/** `POST /api/v1/policies/preview`: nothing is written. */
export const previewRequest = z.strictObject({
  /** YAML of the proposed AuthorizationPolicy or PeerAuthentication objects. */
  manifest: z.string().max(1024 * 1024),
  window: z.string().optional(),
});
export const previewView = z.strictObject({
  window: windowView,
  coverage: coverageView,
  /** Unified diff of the stored objects against the proposed ones. */
  diff: z.string(),
  evaluated: z.int(),
  wouldDeny: z.array(impact),
  wouldAllow: z.array(impact),
  unchanged: z.strictObject({ allowed: z.int(), denied: z.int() }),
  /** Things to know before applying: plaintext callers that no identity can admit, selectors that select nothing. */
  warnings: z.array(z.strictObject({ code: z.string(), message: z.string(), remedy: z.string() })),
});

/** `POST /api/v1/apply`: all documents or none. `dryRun` checks and writes nothing. */
export const applyRequest = z.strictObject({
  manifest: z.string().max(1024 * 1024),
  dryRun: z.boolean().default(false),
  /** Take over fields that another manager owns. */
  force: z.boolean().default(false),
  manager: z.string().min(1).max(64).default('sallyport'),
});
export const applyView = z.strictObject({
  dryRun: z.boolean(),
  results: z.array(
    z.strictObject({
      kind: z.string(),
      namespace: z.string().nullable(),
      name: z.string(),
      action: z.enum(['created', 'configured', 'unchanged']),
      generation: z.int(),
      resourceVersion: z.string(),
    }),
  ),
});
export const resourceList = z.strictObject({ items: z.array(z.record(z.string(), z.unknown())), revision: z.string() });

export type Caller = z.infer<typeof caller>;
export type CallersView = z.infer<typeof callersView>;
export type Impact = z.infer<typeof impact>;
export type PreviewView = z.infer<typeof previewView>;
export type ApplyView = z.infer<typeof applyView>;
