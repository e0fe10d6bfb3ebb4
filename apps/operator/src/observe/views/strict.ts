import type { Blocker, StrictPlan, StrictStep } from '@sallyport/shared/api';
import { windowViewOf } from '@sallyport/shared/graph';
import { strictBlockers } from '@sallyport/shared/posture';
import { durationMs } from '@sallyport/shared/resources';
import type { StrictStep as StepRow } from '../../generated/prisma/client.ts';
import { latestStep } from '../../history/steps.ts';
import { meshOf, meshState } from '../mesh-state.ts';
import { namespaceMode, type PolicySet, portModes } from '../modes.ts';
import { type Observation, observeWindow, type Sources } from '../observation.ts';

/** Besides what was observed, the gate asks which proxies are behind. */
export interface StrictSources extends Sources {
  readonly behind: (proxies: readonly string[]) => string[];
}

/** The policies as stored now. */
export function storedPolicies(sources: Sources): PolicySet {
  return {
    mesh: meshOf(sources.cache, sources.trustDomain).spec,
    authorizationPolicies: sources.cache.all('AuthorizationPolicy'),
    peerAuthentications: sources.cache.all('PeerAuthentication'),
    requestAuthentications: sources.cache.all('RequestAuthentication'),
    services: sources.cache.all('Service'),
  };
}

/** True while a step may still change something. */
export function isActive(row: Pick<StepRow, 'state'> | null): boolean {
  return row?.state === 'watching-canary' || row?.state === 'watching-namespace';
}

/** The strict gate of a namespace over the mesh's own window. */
export async function strictPlan(sources: StrictSources, namespace: string): Promise<StrictPlan> {
  const settings = meshOf(sources.cache, sources.trustDomain).spec.strict;
  const to = sources.now();
  const window = { from: to - durationMs(settings.window), to };
  const [observation, row] = await Promise.all([observeWindow(sources, window, 'proof'), latestStep(sources.database, namespace)]);
  return planFrom(sources, observation, row, namespace);
}

function planFrom(sources: StrictSources, observation: Observation, row: StepRow | null, namespace: string): StrictPlan {
  const { mesh, meshResource, flows, window, now } = observation;
  const settings = meshResource.spec.strict;
  const policies = storedPolicies(sources);
  const coverage = observation.coverageOf(namespace);
  const serving = coverage.proxies.map((proxy) => proxy.name);
  const { mode } = namespaceMode(mesh.workloads, namespace, policies);
  const blockers = [
    ...strictBlockers({ namespace, window, now, mesh, flows, coverage, minimumCoverage: settings.minimumCoverage, pendingProxies: sources.behind(serving), stepping: isActive(row) }),
    ...overrideBlockers(sources, policies, namespace),
  ];
  return {
    namespace, mode, blockers, coverage,
    ready: blockers.length === 0 && mode !== 'STRICT',
    window: windowViewOf(window),
    calls: callsTo(observation, namespace),
    step: row && toStepView(row, durationMs(settings.watch)),
  };
}

/** A workload's own PeerAuthentication beats the namespace's, so the step would not reach its ports. */
function overrideBlockers(sources: Sources, policies: PolicySet, namespace: string): Blocker[] {
  const workloads = meshState(sources.cache, sources.trustDomain).workloads.filter((workload) => workload.namespace === namespace);
  return workloads.flatMap((workload) =>
    portModes(workload, policies)
      .filter(({ effective }) => effective.mode !== 'STRICT' && (effective.scope === 'workload' || effective.scope === 'port'))
      .map(({ port, effective }): Blocker => ({
        kind: 'mode-override',
        source: { ip: null, workload: null },
        destination: { namespace, workload: workload.name, service: null },
        port,
        count: 0,
        lastSeen: null,
        message: `PeerAuthentication ${effective.policy ?? ''} keeps port ${port} of ${workload.name} ${effective.mode}, whatever the namespace says`,
        remedy: `delete or change PeerAuthentication ${effective.policy ?? ''}`,
      })),
  );
}

/**
 * Calls that a namespace took or refused by policy, by protection. Plaintext that strict turned away at the door never
 * was a call: counting it would let any stranger spoil the share of a strict namespace.
 */
export function callsTo(observation: Observation, namespace: string): { mutual: number; plaintext: number; unknown: number } {
  const calls = { mutual: 0, plaintext: 0, unknown: 0 };
  for (const flow of observation.flows) {
    const turnedAway = flow.reason === 'plaintext-refused' || flow.reason === 'peer-not-verified';
    if (flow.side === 'inbound' && flow.destination.namespace === namespace && !turnedAway) calls[flow.mtls] += flow.count;
  }
  return calls;
}

/** A stored step as the API shows it. */
function toStepView(row: StepRow, watchMs: number): StrictStep {
  return {
    id: row.id,
    namespace: row.namespace,
    state: row.state as StrictStep['state'],
    canary: row.canary,
    startedBy: row.startedBy,
    startedAt: row.startedAt.toISOString(),
    stageStartedAt: row.stageStartedAt.toISOString(),
    stageEndsAt: isActive(row) ? new Date(row.stageStartedAt.getTime() + watchMs).toISOString() : null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
    refusals: row.refusals,
    reason: row.reason,
    log: row.log as StrictStep['log'],
  };
}
