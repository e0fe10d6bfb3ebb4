import { activeEntry, type Parent, PARENTS, type RotationPolicy } from '@sallyport/shared/pki';
import { durationMs, type Mesh } from '@sallyport/shared/resources';
import type { Logger } from 'pino';
import type { CaStore } from './ca-store.ts';
import { openParent } from './parents/open.ts';
import { type ParentCa, ParentError } from './parents/parent.ts';
import { Rotation, RotationRefused, type TakenStep } from './rotation.ts';

/** After a failure the parent is asked again after this long, then twice as long, up to the limit. */
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 10 * 60_000;

/** How the CA stands to what `Mesh.spec.ca` asks for: the condition `CertificateAuthority` of the Mesh. */
export interface CaCondition {
  readonly status: 'True' | 'False';
  readonly reason: 'Anchored' | 'Rotating' | 'ParentRefused' | 'NotSupported' | 'External';
  readonly message: string;
}

export interface CaControllerOptions {
  readonly store: CaStore;
  readonly mesh: () => Mesh['spec'];
  readonly lagging: (sequence: number) => Promise<readonly string[]>;
  /** Writes what the controller did by itself into the audit log. */
  readonly record: (steps: readonly TakenStep[]) => Promise<void>;
  readonly now: () => number;
  readonly log: Logger;
}

/** Keeps the CA at what the Mesh asks for: follows its parent, its lifetimes and what proxies acknowledged. */
export class CaController {
  readonly rotation: Rotation;
  readonly #options: CaControllerOptions;
  #parent: { key: string; adapter: ParentCa | null } = { key: '', adapter: null };
  #failure: { message: string; waitMs: number; until: number } | null = null;

  constructor(options: CaControllerOptions) {
    this.#options = options;
    this.rotation = new Rotation({
      store: options.store,
      now: options.now,
      policy: () => this.policy,
      constrained: () => options.mesh().certificates.nameConstraints,
      parent: () => this.#adapter(),
      wanted: () => this.wanted,
      lagging: options.lagging,
    });
  }

  /** Lifetimes as they are configured now. */
  get policy(): RotationPolicy {
    const { leafLifetime, issuerLifetime, rootLifetime, rootActivation } = this.#options.mesh().certificates;
    return { leaf: durationMs(leafLifetime), issuer: durationMs(issuerLifetime), root: durationMs(rootLifetime), manual: rootActivation === 'manual' };
  }

  /** The kind of parent that is asked for. */
  get wanted(): Parent {
    const { ca } = this.#options.mesh();
    return PARENTS.find((kind) => ca[kind] !== undefined) ?? 'selfSigned';
  }

  /** Why proxies get no SVID from us by configuration, or null. */
  get withheld(): string | null {
    const { spire } = this.#options.mesh().ca;
    return spire ? `identities of this mesh come from SPIRE: proxies take them from the Workload API at ${spire.workloadApi}` : null;
  }

  /** Proxies that hold the rotation up. */
  lagging(sequence: number): Promise<readonly string[]> {
    return this.#options.lagging(sequence);
  }

  /** Takes what steps are due; a parent that gives nothing usable is asked again later, and what signs goes on. */
  async tick(): Promise<void> {
    const { now, log } = this.#options;
    if (this.#failure && now() < this.#failure.until) return;
    try {
      const steps = await this.rotation.tick();
      this.#failure = null;
      this.tell(steps);
      if (steps.length > 0) await this.#options.record(steps);
    } catch (error) {
      if (!(error instanceof ParentError || error instanceof RotationRefused)) throw error;
      const waitMs = Math.min(LONGEST_RETRY_MS, (this.#failure?.waitMs ?? FIRST_RETRY_MS / 2) * 2);
      if (this.#failure?.message !== error.message) log.warn({ reason: error.message }, 'the CA’s parent gave nothing usable; what signs now goes on');
      this.#failure = { message: error.message, waitMs, until: now() + waitMs };
    }
  }

  /** Writes taken steps to the log. */
  tell(steps: readonly TakenStep[]): void {
    for (const step of steps) this.#options.log.info(step, 'CA rotation');
  }

  get condition(): CaCondition {
    const { wanted } = this;
    if (wanted === 'spire') return { status: 'True', reason: 'External', message: this.withheld ?? '' };
    if (wanted === 'certManager') return { status: 'False', reason: 'NotSupported', message: 'cert-manager is reached from the Kubernetes operator only; the present CA goes on' };
    if (this.#failure) return { status: 'False', reason: 'ParentRefused', message: `${this.#failure.message}; the present CA goes on` };
    const root = activeEntry(this.#options.store.document, 'root');
    if (root?.parent !== wanted) return { status: 'False', reason: 'Rotating', message: `the root of ${wanted} is on its way; see: sallyport ca status` };
    return { status: 'True', reason: 'Anchored', message: `SVIDs are issued under ${root.subject}` };
  }

  close(): void {
    this.#parent.adapter?.close();
  }

  /** The adapter for the parent as configured; kept as long as the configuration is the same. */
  #adapter(): ParentCa | null {
    const { ca } = this.#options.mesh();
    const key = JSON.stringify(ca);
    if (key !== this.#parent.key) {
      this.#parent.adapter?.close();
      this.#parent = { key, adapter: openParent(ca, this.#options.store.document.trustDomain, () => this.#retryNow()) };
      this.#failure = null;
    }
    return this.#parent.adapter;
  }

  /** Files changed: what was refused may be good now. */
  #retryNow(): void {
    if (this.#failure) this.#failure = { ...this.#failure, until: 0 };
  }
}
