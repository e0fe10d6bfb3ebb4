import { z } from 'zod';
import { coverageView, instant, windowView } from './common.ts';

export const mode = z.enum(['STRICT', 'PERMISSIVE', 'DISABLE', 'MIXED']);
export const outcome = z.enum(['met', 'unmet', 'indeterminate']);
export const STAGES = ['Pilot', 'Production', 'Default', 'Platform'] as const;
export const stage = z.enum(STAGES);

export const criterion = z.strictObject({
  id: z.string(),
  stage,
  /** What must hold, in one line. */
  title: z.string(),
  outcome,
  /** What was found: `14 of 14 workloads`, `2 plaintext callers`, `no data since …`. */
  finding: z.string(),
  /** What to do about it; '' when met. */
  remedy: z.string(),
  /** Console path of the page that shows what fails, e.g. `/namespaces/shop?tab=strict`. */
  link: z.string(),
  failing: z.array(z.string()),
});

export const maturityView = z.strictObject({
  namespace: z.string(),
  /** Highest stage whose criteria, and all criteria below it, are met; null when not even Pilot's are. */
  stage: stage.nullable(),
  next: stage.nullable(),
  criteria: z.array(criterion),
});

export const namespaceView = z.strictObject({
  name: z.string(),
  mode,
  modeSource: z.string().nullable(),
  workloads: z.strictObject({ total: z.int(), meshed: z.int(), live: z.int() }),
  services: z.int(),
  policies: z.int(),
  /** Calls that arrived in the window, by protection. */
  mtls: z.strictObject({ mutual: z.int(), plaintext: z.int(), unknown: z.int() }),
  denied: z.int(),
  stage: stage.nullable(),
});
export const namespacesView = z.strictObject({ window: windowView, coverage: coverageView, items: z.array(namespaceView) });

export const blocker = z.strictObject({
  kind: z.enum(['plaintext-caller', 'coverage-gap', 'no-telemetry', 'unmeshed-workload', 'already-stepping', 'proxy-behind', 'mode-override']),
  /** For a plaintext caller its address, and its workload when one has that address. */
  source: z.strictObject({ ip: z.string().nullable(), workload: z.string().nullable() }),
  destination: z.strictObject({ namespace: z.string(), workload: z.string().nullable(), service: z.string().nullable() }),
  port: z.int().nullable(),
  count: z.int(),
  lastSeen: instant.nullable(),
  message: z.string(),
  remedy: z.string(),
});

export const stepState = z.enum(['watching-canary', 'watching-namespace', 'succeeded', 'rolled-back', 'failed']);
/** One run of the step to strict: canary workload, whole namespace, done; or rolled back, with the reason. */
export const strictStep = z.strictObject({
  id: z.string(),
  namespace: z.string(),
  state: stepState,
  canary: z.string().nullable(),
  startedBy: z.string(),
  startedAt: instant,
  stageStartedAt: instant,
  /** When the present stage may end if nothing is refused. */
  stageEndsAt: instant.nullable(),
  finishedAt: instant.nullable(),
  /** Refusals of plaintext seen since the step began. */
  refusals: z.int(),
  reason: z.string(),
  log: z.array(z.strictObject({ at: instant, message: z.string() })),
});

export const strictPlan = z.strictObject({
  namespace: z.string(),
  mode,
  /** True only when there is no blocker; coverage below the limit is a blocker. */
  ready: z.boolean(),
  blockers: z.array(blocker),
  window: windowView,
  coverage: coverageView,
  calls: z.strictObject({ mutual: z.int(), plaintext: z.int(), unknown: z.int() }),
  step: strictStep.nullable(),
});
export const strictApplyRequest = z.strictObject({}).optional();
export const strictRollbackRequest = z.strictObject({ reason: z.string().max(500).optional() });

export const namespaceDetail = namespaceView.extend({
  /** The window of the figures here, and how much of it the proxies that serve the namespace reported. The gate has its own in `plan`. */
  window: windowView,
  coverage: coverageView,
  plan: strictPlan,
  maturity: maturityView,
  workloadList: z.array(
    z.strictObject({
      name: z.string(),
      serviceAccount: z.string(),
      spiffeId: z.string(),
      /** The federated trust domain that it belongs to; null for our own. */
      trustDomain: z.string().nullable(),
      address: z.string(),
      proxy: z.string().nullable(),
      proxyLive: z.boolean(),
      lastReport: instant.nullable(),
      ports: z.array(z.strictObject({ port: z.int(), protocol: z.string(), mode })),
    }),
  ),
});
export type NamespaceView = z.infer<typeof namespaceView>;
export type NamespacesView = z.infer<typeof namespacesView>;
export type NamespaceDetail = z.infer<typeof namespaceDetail>;
export type StrictPlan = z.infer<typeof strictPlan>;
export type StrictStep = z.infer<typeof strictStep>;
export type Blocker = z.infer<typeof blocker>;
export type Criterion = z.infer<typeof criterion>;
export type MaturityView = z.infer<typeof maturityView>;
export type Stage = z.infer<typeof stage>;
