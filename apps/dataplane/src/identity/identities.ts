import type { z } from 'zod';
import { proxySpiffeId } from '@sallyport/shared/mesh';
import { type jwtRequest, jwtResponse, type reportRequest, svidRequest, svidResponse } from '@sallyport/shared/push';
import type { OperatorLink } from '../config-stream/operator-link.ts';
import type { ProxyConfig } from '../config.ts';
import type { Log } from '../telemetry/log.ts';
import { Credentials } from './credentials.ts';
import { Enrolment } from './enrolment.ts';
import { MachineProof } from './machine-proof.ts';
import { PodProof } from './pod-proof.ts';
import type { SvidResponse } from './proof.ts';
import { SleepWatch } from './sleep-watch.ts';
import { SvidRenewal } from './svid-renewal.ts';
import { TrustBundle } from './trust.ts';

export type HeldSvid = z.infer<typeof reportRequest>['svids'][number];

/** A workload with the identity that it has by its configuration. */
export interface IdentifiedWorkload {
  readonly namespace: string;
  readonly name: string;
  readonly spiffeId: string;
}

interface HeldIdentity {
  readonly workload: { readonly namespace: string; readonly name: string };
  readonly credentials: Credentials;
  readonly renewal: SvidRenewal;
}

/** All identities of this process: the proxy's own and one for each workload that it serves. */
export class Identities {
  readonly own: Credentials;
  readonly trust: TrustBundle;
  readonly #enrolment: Enrolment;
  readonly #log: Log;
  readonly #workloads = new Map<string, HeldIdentity>();
  readonly #listeners = new Set<() => void>();
  #renewal: SvidRenewal | null = null;
  #sleep: SleepWatch | null = null;
  #link: OperatorLink | null = null;

  constructor(config: ProxyConfig, log: Log) {
    this.#log = log;
    this.trust = new TrustBundle(config.trustDomain);
    this.own = new Credentials(proxySpiffeId(config.trustDomain, config.proxy), this.trust);
    this.#enrolment = new Enrolment(config, config.tokenFile === null ? new MachineProof(config) : new PodProof(config, config.tokenFile));
    this.trust.replace(this.#enrolment.roots());
    this.trust.onChange(() => {
      this.#enrolment.remember(this.trust.roots);
      this.#changed();
    });
  }

  /** Starts to get and renew the proxy's own SVID. */
  start(link: OperatorLink): void {
    this.#link = link;
    this.#renewal = new SvidRenewal(this.own, this.trust, (csr) => this.#issueOwn(csr), this.#log);
    this.#renewal.start();
    this.#sleep = new SleepWatch((jumpMs) => this.#woken(jumpMs));
  }

  /** Brings the held identities in line with the workloads now served. A changed SPIFFE ID is a new identity. */
  serve(workloads: readonly IdentifiedWorkload[]): void {
    const wanted = new Map(workloads.map((workload) => [keyOf(workload), workload]));
    for (const [key, held] of this.#workloads) {
      if (wanted.has(key)) continue;
      this.#workloads.delete(key);
      void held.renewal.stop().then(() => held.credentials.dispose());
    }
    for (const [key, workload] of wanted) {
      if (!this.#workloads.has(key)) this.#workloads.set(key, this.#hold(workload));
    }
  }

  /** @throws Error when the workload is not served here: a defect of the caller */
  credentialsOf(workload: IdentifiedWorkload): Credentials {
    const held = this.#workloads.get(keyOf(workload));
    if (!held) throw new Error(`no identity is held for workload ${keyOf(workload)}`);
    return held.credentials;
  }

  /** Every SVID held now, for reports and metrics. */
  held(): HeldSvid[] {
    const all: { workload: HeldIdentity['workload'] | null; credentials: Credentials }[] = [{ workload: null, credentials: this.own }, ...this.#workloads.values()];
    return all.flatMap(({ workload, credentials: { svid } }) =>
      svid ? [{ spiffeId: svid.spiffeId, serial: svid.serial, notAfter: svid.notAfter, workload }] : [],
    );
  }

  /** Calls back when an SVID or the trust changed. Returns the way to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A JWT-SVID for a workload that is served here. @throws PushFailure, or Error when the operator cannot be reached */
  async jwtSvid({ namespace, name }: { readonly namespace: string; readonly name: string }, audience: readonly string[]): Promise<string> {
    const body: z.input<typeof jwtRequest> = { workload: { namespace, name }, audience: [...audience] };
    return (await this.#operator().post('/v1/jwt', body, jwtResponse)).token;
  }

  /** SPIFFE IDs that have no valid SVID at `now`: why this proxy is not ready. */
  lacking(now: number): string[] {
    const all = [this.own, ...[...this.#workloads.values()].map((held) => held.credentials)];
    return all.filter(({ svid }) => !svid || svid.notAfter <= now).map(({ spiffeId }) => spiffeId);
  }

  async stop(): Promise<void> {
    this.#sleep?.stop();
    const renewals = [...this.#workloads.values()].map((held) => held.renewal.stop());
    await Promise.all([this.#renewal?.stop(), ...renewals]);
  }

  /** SVIDs may have expired, and connections are most likely dead, though no timer has come due. */
  #woken(jumpMs: number): void {
    this.#log.warn({ jumpMs }, 'the clock jumped; looking at every SVID again');
    this.#link?.reset();
    this.#renewal?.wake();
    for (const { renewal } of this.#workloads.values()) renewal.wake();
  }

  #hold({ namespace, name, spiffeId }: IdentifiedWorkload): HeldIdentity {
    const credentials = new Credentials(spiffeId, this.trust);
    credentials.onChange(() => this.#changed());
    const workload = { namespace, name };
    const renewal = new SvidRenewal(credentials, this.trust, (csr) => this.#issue({ workload, csr }), this.#log);
    renewal.start();
    return { workload, credentials, renewal };
  }

  async #issue(body: z.input<typeof svidRequest>): Promise<SvidResponse> {
    return this.#operator().post('/v1/svid', body, svidResponse);
  }

  #operator(): OperatorLink {
    if (!this.#link) throw new Error('the link to the operator is not up yet');
    return this.#link;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Renews over the stream while the present SVID is good; otherwise, or when that fails, by what proves this proxy. */
  async #issueOwn(csr: string): Promise<SvidResponse> {
    const svid = this.own.svid;
    if (!svid || svid.notAfter <= Date.now()) return this.#enrolment.attest(csr);
    try {
      return await this.#issue({ workload: null, csr });
    } catch (error) {
      this.#log.debug({ reason: (error as Error).message }, 'renewal over the stream failed; attesting again');
      return this.#enrolment.attest(csr);
    }
  }
}

function keyOf({ namespace, name, spiffeId }: IdentifiedWorkload): string {
  return `${namespace}/${name} ${spiffeId}`;
}
