import type { StrictPlan } from '@sallyport/shared/api';
import { API_VERSION, durationMs, type PeerAuthentication, peerAuthentication } from '@sallyport/shared/resources';
import type { Logger } from 'pino';
import type { StrictStep } from '../generated/prisma/client.ts';
import { activeSteps, advanceStep, createStep, latestStep, refusalsSince } from '../history/steps.ts';
import { meshOf, meshState } from '../observe/mesh-state.ts';
import { observe } from '../observe/observation.ts';
import { isActive, strictPlan, type StrictSources } from '../observe/views/strict.ts';
import { ConflictError, NotFoundError, type ResourceStore, type WriteContext } from '../store/ports.ts';

const CANARY = 'sallyport-strict-canary';
const NAMESPACE_WIDE = 'default';
/** A proxy that does not take the change within this time stops the step. */
const PROGRAMMING_LIMIT_MS = 60_000;
/** Time for a write of our own to come round through the watch. */
const SETTLING_MS = 3_000;

/** The gate is closed: the plan says why. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError';
  readonly plan: StrictPlan;
  constructor(plan: StrictPlan) {
    const reasons = plan.mode === 'STRICT' ? ['the namespace is strict already'] : plan.blockers.map((blocker) => blocker.message);
    super(`namespace ${plan.namespace} cannot step to strict: ${reasons.join('; ')}`);
    this.plan = plan;
  }
}

/**
 * Steps a namespace to strict mTLS: one canary workload, then the namespace, each watched for the mesh's watch time.
 * A refusal, a proxy that cannot follow or one that falls silent rolls everything back to what it was.
 */
export class StrictStepper {
  readonly #sources: StrictSources;
  readonly #store: ResourceStore;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #starting = new Set<string>();

  constructor(options: { sources: StrictSources; store: ResourceStore; log: Logger; onChange: () => void }) {
    this.#sources = options.sources;
    this.#store = options.store;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  /** Starts a step. @throws NotReadyError when the gate is closed, ConflictError when another start is under way; nothing is changed then */
  async start(namespace: string, context: WriteContext): Promise<void> {
    if (this.#starting.has(namespace)) throw new ConflictError(`a step of namespace ${namespace} is being started by somebody else`);
    this.#starting.add(namespace);
    try {
      await this.#start(namespace, context);
    } finally {
      this.#starting.delete(namespace);
    }
  }

  async #start(namespace: string, context: WriteContext): Promise<void> {
    const plan = await strictPlan(this.#sources, namespace);
    if (!plan.ready) throw new NotReadyError(plan);
    const canary = await this.#pickCanary(namespace);
    const before = this.#namespaceWide(namespace);
    const { database, now } = this.#sources;
    const message = canary === null ? 'gate open; the namespace has one workload, so it steps as a whole' : `gate open; workload ${canary} goes first as canary`;
    await createStep(database, { namespace, canary, startedBy: context.actor, before, now: now(), message });
    await this.#store.apply([canary === null ? this.#strictNamespace(namespace) : this.#strictCanary(namespace, canary)], { ...context, manager: 'sallyport-strict', force: true });
    this.#onChange();
  }

  /** Undoes a running or finished step by hand. @throws NotFoundError when there is nothing to undo */
  async rollBack(namespace: string, context: WriteContext, reason: string): Promise<void> {
    const step = await latestStep(this.#sources.database, namespace);
    if (!step || (!isActive(step) && step.state !== 'succeeded')) throw new NotFoundError(`namespace ${namespace} has no step to roll back`);
    await this.#restore(step, context, 'rolled-back', reason);
  }

  /** Advances every running step by what is seen now. Called every second; each call stands by itself. */
  async tick(): Promise<void> {
    for (const step of await activeSteps(this.#sources.database)) {
      try {
        await this.#advance(step);
      } catch (error) {
        this.#log.error({ namespace: step.namespace, error: error instanceof Error ? error.message : 'unknown' }, 'strict step could not be advanced; trying again');
      }
    }
  }

  async #advance(step: StrictStep): Promise<void> {
    const { database, now } = this.#sources;
    const refusals = await refusalsSince(database, step.namespace, step.startedAt);
    if (refusals.count > 0) {
      const reason = `${refusals.count} connections were refused, from ${refusals.sources.join(', ')}`;
      await this.#restore({ ...step, refusals: refusals.count }, systemContext(step), 'rolled-back', reason);
      return;
    }
    const proxies = this.#servingProxies(step.namespace);
    const behind = this.#sources.behind(proxies);
    const waited = now() - step.stageStartedAt.getTime();
    if (waited > SETTLING_MS && !this.#inPlace(step)) {
      // Somebody changed it by hand, or we died before it was written. Either way it is not ours to force.
      await this.#restore(step, systemContext(step), 'failed', 'the PeerAuthentication of this stage is not there or no longer strict');
      return;
    }
    if (behind.length > 0) {
      if (waited > PROGRAMMING_LIMIT_MS) await this.#restore(step, systemContext(step), 'failed', `proxies ${behind.join(', ')} did not take the change within 60 s`);
      return;
    }
    if (waited < this.#watchMs()) return;
    await this.#finishStage(step);
  }

  /** True while what this stage applied still stands. */
  #inPlace(step: StrictStep): boolean {
    if (step.state === 'watching-namespace') return this.#namespaceWide(step.namespace)?.spec.mtls?.mode === 'STRICT';
    return this.#sources.cache.all('PeerAuthentication').some(({ metadata, spec }) => metadata.namespace === step.namespace && metadata.name === CANARY && spec.mtls?.mode === 'STRICT');
  }

  /** The watch time passed without a refusal. That proves something only if every proxy was looking. */
  async #finishStage(step: StrictStep): Promise<void> {
    const { database, now } = this.#sources;
    const seen = await observe(this.#sources, this.#watchMs());
    const coverage = seen.coverageOf(step.namespace);
    const silent = coverage.proxies.filter((proxy) => !proxy.live).map((proxy) => proxy.name);
    if (silent.length > 0 || coverage.proxies.length === 0) {
      await this.#restore(step, systemContext(step), 'failed', `no telemetry from ${silent.join(', ') || 'any proxy'}: silence proves nothing`);
      return;
    }
    if (step.state === 'watching-namespace') {
      await advanceStep(database, step, { state: 'succeeded', finishedAt: new Date(now()), reason: 'nothing was refused' }, 'namespace is strict; nothing was refused', now());
      this.#onChange();
      return;
    }
    await this.#store.apply([this.#strictNamespace(step.namespace)], { ...systemContext(step), force: true });
    await this.#remove(step.namespace, CANARY, systemContext(step));
    await advanceStep(database, step, { state: 'watching-namespace', stageStartedAt: new Date(now()) }, 'canary saw no refusal; the whole namespace is strict now and watched', now());
    this.#onChange();
  }

  async #restore(step: StrictStep, context: WriteContext, state: 'rolled-back' | 'failed', reason: string): Promise<void> {
    const { database, now } = this.#sources;
    await this.#remove(step.namespace, CANARY, context);
    // From the store itself: the cache may not have seen what this step wrote a moment ago.
    const present = widest((await this.#store.list('PeerAuthentication', step.namespace)).items);
    const before = step.before as unknown as PeerAuthentication | null;
    // What somebody else wrote meanwhile is not ours to take back: only our own STRICT is undone.
    const ours = present?.spec.mtls?.mode === 'STRICT';
    if (!ours) this.#log.info({ namespace: step.namespace }, 'the namespace is not strict; its PeerAuthentication is left as it is');
    else if (before) await this.#store.apply([withoutServerFields(before)], { ...context, manager: 'sallyport-strict', force: true });
    else if (present) await this.#remove(step.namespace, present.metadata.name, context);
    await advanceStep(database, step, { state, finishedAt: new Date(now()), refusals: step.refusals, reason }, `${state === 'failed' ? 'stopped' : 'rolled back'}: ${reason}`, now());
    this.#log.warn({ namespace: step.namespace, reason }, 'strict step undone');
    this.#onChange();
  }

  async #remove(namespace: string, name: string, context: WriteContext): Promise<void> {
    try {
      await this.#store.delete({ kind: 'PeerAuthentication', namespace, name }, context);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  /** The workload with the least traffic that has some: enough to notice, least to lose. Null when there is only one. */
  async #pickCanary(namespace: string): Promise<string | null> {
    const seen = await observe(this.#sources, durationMs(this.#settings().window));
    const names = seen.mesh.workloads.filter((workload) => workload.namespace === namespace && workload.ports.length > 0).map((workload) => workload.name);
    if (names.length < 2) return null;
    const calls = new Map<string, number>();
    for (const { side, destination, count } of seen.flows) {
      if (side === 'inbound' && destination.namespace === namespace && destination.workload) calls.set(destination.workload, (calls.get(destination.workload) ?? 0) + count);
    }
    const ranked = [...calls].filter(([name]) => names.includes(name)).sort((a, b) => a[1] - b[1]);
    return ranked[0]?.[0] ?? names[0] ?? null;
  }

  #settings() {
    return meshOf(this.#sources.cache, this.#sources.trustDomain).spec.strict;
  }

  #watchMs(): number {
    return durationMs(this.#settings().watch);
  }

  #servingProxies(namespace: string): string[] {
    const { workloads } = meshState(this.#sources.cache, this.#sources.trustDomain);
    return [...new Set(workloads.flatMap((workload) => (workload.namespace === namespace && workload.proxy !== null ? [workload.proxy] : [])))];
  }

  #namespaceWide(namespace: string): PeerAuthentication | null {
    return widest(this.#sources.cache.all('PeerAuthentication').filter((item) => item.metadata.namespace === namespace));
  }

  #strictNamespace(namespace: string): PeerAuthentication {
    const present = this.#namespaceWide(namespace);
    const base = present ? withoutServerFields(present) : emptyPeer(namespace, NAMESPACE_WIDE);
    return { ...base, spec: { ...base.spec, mtls: { mode: 'STRICT' } } };
  }

  #strictCanary(namespace: string, workload: string): PeerAuthentication {
    const labels = this.#sources.cache.all('Workload').find((item) => item.metadata.namespace === namespace && item.metadata.name === workload)?.metadata.labels;
    const base = emptyPeer(namespace, CANARY);
    return { ...base, spec: { selector: { matchLabels: labels ?? {} }, mtls: { mode: 'STRICT' } } };
  }
}

/** The PeerAuthentication that decides for the whole namespace: the oldest without a selector. */
function widest(policies: readonly PeerAuthentication[]): PeerAuthentication | null {
  const wide = policies
    .filter((item) => Object.keys(item.spec.selector?.matchLabels ?? {}).length === 0)
    .sort((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''));
  return wide[0] ?? null;
}

function emptyPeer(namespace: string, name: string): PeerAuthentication {
  return peerAuthentication.parse({ apiVersion: API_VERSION, kind: 'PeerAuthentication', metadata: { name, namespace }, spec: {} });
}

function withoutServerFields(object: PeerAuthentication): PeerAuthentication {
  const { name, namespace, labels, annotations } = object.metadata;
  return { apiVersion: object.apiVersion, kind: object.kind, metadata: { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) }, spec: object.spec };
}

function systemContext(step: Pick<StrictStep, 'startedBy'>): WriteContext {
  return { manager: 'sallyport-strict', actor: `strict step of ${step.startedBy}`, via: 'system' };
}
