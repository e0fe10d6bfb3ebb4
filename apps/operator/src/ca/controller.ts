import { activeEntry, type Parent, PARENTS, type RotationPolicy } from '@sallyport/shared/pki';
import { durationMs, type Mesh } from '@sallyport/shared/resources';
import type { Logger } from 'pino';
import type { CaStore } from './ca-store.ts';
import type { Cluster } from './parents/cert-manager.ts';
import { openParent } from './parents/open.ts';
import type { ParentCa } from './parents/parent.ts';
import { Rotation, type TakenStep } from './rotation.ts';

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
  /** Whether other trust domains fetch our bundle. */
  readonly federated: () => boolean;
  /** Writes what the controller did by itself into the audit log. */
  readonly record: (steps: readonly TakenStep[]) => Promise<void>;
  /** The way to the API server, for cert-manager; null outside of a cluster. */
  readonly cluster: Cluster | null;
  readonly now: () => number;
  readonly log: Logger;
}

/** Keeps the CA at what the Mesh asks for: follows its parent, its lifetimes and what proxies acknowledged. */
export class CaController {
  readonly rotation: Rotation;
  readonly #options: CaControllerOptions;
  #parent: { key: string; adapter: ParentCa | null } = { key: '', adapter: null };
  #failure: string | null = null;

  constructor(options: CaControllerOptions) {
    this.#options = options;
    this.rotation = new Rotation({
      store: options.store,
      now: options.now,
      policy: () => this.policy,
      constrained: () => options.mesh().certificates.nameConstraints,
      parent: () => this.#adapter(),
      // With SPIRE we are our own CA towards proxies, and that has to go on.
      wanted: () => (this.withheld === null ? this.wanted : 'selfSigned'),
      lagging: options.lagging,
      federated: options.federated,
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

  /** Why workloads get no SVID from us by configuration, or null. Proxies get their own all the same: no mesh link believes it. */
  get withheld(): string | null {
    const { spire } = this.#options.mesh().ca;
    return spire ? `we hold no CA for workloads: the identities of this mesh come from SPIRE, and proxies take them from the Workload API at ${spire.workloadApi} (or where their SPIFFE_ENDPOINT_SOCKET says)` : null;
  }

  /** Proxies that hold the rotation up. */
  lagging(sequence: number): Promise<readonly string[]> {
    return this.#options.lagging(sequence);
  }

  /** Takes what steps are due. What a parent withholds holds up nothing else. */
  async tick(): Promise<void> {
    const { log, record } = this.#options;
    let failure: string | null = null;
    const steps = await this.rotation.tick((error) => {
      failure = error.message;
    });
    if (failure !== null && failure !== this.#failure) log.warn({ reason: failure }, 'the CA’s parent gave nothing usable; what signs now goes on');
    this.#failure = failure;
    this.tell(steps);
    if (steps.length > 0) await record(steps);
  }

  /** Writes taken steps to the log. */
  tell(steps: readonly TakenStep[]): void {
    for (const step of steps) this.#options.log.info(step, 'CA rotation');
  }

  get condition(): CaCondition {
    const { wanted } = this;
    if (wanted === 'spire') return { status: 'True', reason: 'External', message: this.withheld ?? '' };
    if (wanted === 'certManager' && this.#options.cluster === null) return { status: 'False', reason: 'NotSupported', message: 'cert-manager is reached by the API server of a cluster, and this operator knows none (KUBECONFIG); the present CA goes on' };
    if (this.#failure) return { status: 'False', reason: 'ParentRefused', message: `${this.#failure}; the present CA goes on` };
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
      this.#parent = { key, adapter: openParent(ca, this.#options.store.document.trustDomain, this.#options.cluster) };
    }
    return this.#parent.adapter;
  }
}
