import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type KubeClient, KubeError } from './client.ts';
import { kubeObject } from './list-watch.ts';
import { microTime } from './micro-time.ts';

export interface LeaseTimes {
  /** For so long after the last renewal others leave the lease alone. */
  readonly leaseMs: number;
  /** A holder that could not renew for so long gives up; shorter than the lease, so that two never lead at a time. */
  readonly renewMs: number;
  /** Between tries. */
  readonly retryMs: number;
}

/** Kubernetes' own components: 15, 10 and 2 s. */
const LEASE_TIMES: LeaseTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

export interface LeaseOptions {
  /** Best one of its own: a renewal must not wait behind other requests. */
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone: one that is started again under the name of an old one must wait like any other. */
  readonly identity: string;
  readonly times?: LeaseTimes;
  readonly trouble: (error: unknown) => void;
}

const leaseObject = kubeObject.extend({
  metadata: kubeObject.shape.metadata.extend({ annotations: z.record(z.string(), z.string()).optional() }),
  spec: z.looseObject({ holderIdentity: z.string().nullish(), leaseDurationSeconds: z.number().nullish(), renewTime: z.string().nullish(), leaseTransitions: z.number().nullish() }).default({}),
});
type LeaseObject = z.infer<typeof leaseObject>;

/**
 * Leader election by a Lease of coordination.k8s.io, with the algorithm of client-go: whoever holds it renews it; others
 * take it when they have seen the same record for the whole duration, by their own clock and not the one in the record.
 * {@link leading} is a question of the clock: a process that was stopped for a while finds that it does not lead any more
 * before it does anything else.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #stop = new AbortController();
  /** The record as last seen, and when it was first seen like that. */
  #observed: { readonly version: string; readonly at: number } = { version: '', at: 0 };
  #annotations: Readonly<Record<string, string>> = {};
  #holder: { readonly identity: string; readonly annotations: Readonly<Record<string, string>> } | null = null;
  /** Monotonic time up to which we lead. */
  #until = 0;
  #loop: Promise<void> | null = null;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#times = options.times ?? LEASE_TIMES;
  }

  /** Whether we lead at this moment. To be asked before each thing that only a leader does. */
  get leading(): boolean {
    return performance.now() < this.#until;
  }

  /** Who holds it, as last read, and what they say there of themselves; null when nobody does. */
  get holder(): { readonly identity: string; readonly annotations: Readonly<Record<string, string>> } | null {
    return this.#holder;
  }

  /** Says something of ourselves in the lease, from the next renewal on while we lead. */
  annotate(annotations: Readonly<Record<string, string>>): void {
    this.#annotations = annotations;
  }

  /** Waits until we lead, for as long as it takes; then keeps the lease, and calls `onLost` when it could not. @throws when `signal` aborts */
  async acquire(onLost: () => void, signal: AbortSignal): Promise<void> {
    while (!(await this.#try())) await delay(jittered(this.#times.retryMs), undefined, { signal });
    this.#loop = this.#keep(onLost);
  }

  /** Stops renewing and gives the lease back, so that the next need not wait for its end. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    const held = this.leading;
    this.#until = 0;
    if (!held) return;
    try {
      const current = await this.#read();
      if (current?.spec.holderIdentity === this.#options.identity) await this.#put(current, { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(Date.now()) });
    } catch (error) {
      this.#options.trouble(error);
    }
  }

  async #keep(onLost: () => void): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await delay(this.#times.retryMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      if (!this.leading || (!(await this.#try()) && !this.leading)) {
        this.#until = 0;
        onLost();
        return;
      }
    }
  }

  /** @returns whether we hold it now; failures are told and leave things as they are */
  async #try(): Promise<boolean> {
    const begun = performance.now();
    try {
      const current = await this.#read();
      if (!this.#mayTake(current)) {
        this.#until = 0;
        return false;
      }
      await this.#write(current);
      // From before the request: the record may have been written as soon as it was sent.
      this.#until = begun + this.#times.renewMs;
      return true;
    } catch (error) {
      // 409: somebody else was first.
      if (!(error instanceof KubeError && error.status === 409)) this.#options.trouble(error);
      return false;
    }
  }

  #mayTake(current: LeaseObject | null): boolean {
    const holder = current?.spec.holderIdentity ?? '';
    this.#holder = holder === '' ? null : { identity: holder, annotations: current?.metadata.annotations ?? {} };
    const version = current?.metadata.resourceVersion ?? '';
    if (version !== this.#observed.version) this.#observed = { version, at: performance.now() };
    if (holder === '' || holder === this.#options.identity) return true;
    const lasts = (current?.spec.leaseDurationSeconds ?? 0) * 1000;
    return performance.now() > this.#observed.at + Math.max(lasts, this.#times.leaseMs);
  }

  async #write(current: LeaseObject | null): Promise<void> {
    const { identity } = this.#options;
    const mine = current?.spec.holderIdentity === identity;
    const now = microTime(Date.now());
    const changed = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(this.#times.leaseMs / 1000), renewTime: now };
    const taken = mine ? {} : { acquireTime: now, leaseTransitions: current === null ? 0 : (current.spec.leaseTransitions ?? 0) + 1 };
    const written = await this.#put(current, { ...changed, ...taken });
    this.#observed = { version: written.metadata.resourceVersion, at: performance.now() };
  }

  async #read(): Promise<LeaseObject | null> {
    try {
      return leaseObject.parse(await this.#request('GET', `${this.#collection}/${this.#options.name}`));
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  /** With the version that was read: of two who write, the second is refused. What others put into the object stays. */
  async #put(current: LeaseObject | null, spec: object): Promise<LeaseObject> {
    const { name, namespace } = this.#options;
    const annotations = { ...current?.metadata.annotations, ...this.#annotations };
    const created = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace, annotations }, spec };
    const changed = { ...current, metadata: { ...current?.metadata, annotations }, spec: { ...current?.spec, ...spec } };
    const answer = current === null ? this.#request('POST', this.#collection, created) : this.#request('PUT', `${this.#collection}/${name}`, changed);
    return leaseObject.parse(await answer);
  }

  get #collection(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  /** One try, and a short one: the next comes anyway, and has to come before the deadline. */
  #request(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<unknown> {
    const query = method === 'GET' ? {} : { query: { fieldManager: 'sallyport-lease' } };
    return this.#options.client.request({ method, path, ...query, timeoutMs: this.#times.renewMs / 2, tries: 1, ...(body ? { body } : {}) });
  }
}

function jittered(ms: number): number {
  return ms * (1 + Math.random() / 5);
}
