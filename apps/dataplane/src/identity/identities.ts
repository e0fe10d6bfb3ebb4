import type { z } from 'zod';
import { proxySpiffeId } from '@sallyport/shared/mesh';
import { type jwtRequest, jwtResponse, type reportRequest, svidRequest, svidResponse } from '@sallyport/shared/push';
import type { OperatorLink } from '../config-stream/operator-link.ts';
import type { ProxyConfig } from '../config.ts';
import type { Log } from '../telemetry/log.ts';
import { type SourceStatus, X509Source } from '../workload-client/x509-source.ts';
import { Credentials } from './credentials.ts';
import { Enrolment } from './enrolment.ts';
import { MachineProof } from './machine-proof.ts';
import { PodProof } from './pod-proof.ts';
import type { SvidResponse } from './proof.ts';
import { SleepWatch } from './sleep-watch.ts';
import { SvidRenewal } from './svid-renewal.ts';
import { TrustBundle, type TrustUpdate } from './trust.ts';

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
  /** Null while a Workload API supplies them. */
  renewal: SvidRenewal | null;
}

/**
 * All identities of this process: the proxy's own, for its talk with the operator alone, and one for each workload that
 * it serves. The operator issues both; or a Workload API on this machine gives those of the workloads, with the roots
 * that vouch for them, and then no root of the operator's is believed in the mesh.
 */
export class Identities {
  readonly own: Credentials;
  /** Whom workloads believe. */
  readonly trust: TrustBundle;
  /** Who may be the operator. */
  readonly #operatorTrust: TrustBundle;
  readonly #config: ProxyConfig;
  readonly #enrolment: Enrolment;
  readonly #log: Log;
  readonly #workloads = new Map<string, HeldIdentity>();
  readonly #listeners = new Set<() => void>();
  #renewal: SvidRenewal | null = null;
  #sleep: SleepWatch | null = null;
  #link: OperatorLink | null = null;
  #source: X509Source | null = null;
  #told: TrustUpdate | null = null;

  constructor(config: ProxyConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    this.trust = new TrustBundle(config.trustDomain);
    this.trust.onChange(() => this.#changed());
    this.#operatorTrust = new TrustBundle(config.trustDomain);
    this.own = new Credentials(proxySpiffeId(config.trustDomain, config.proxy), this.#operatorTrust);
    this.#enrolment = new Enrolment(config, config.tokenFile === null ? new MachineProof(config) : new PodProof(config, config.tokenFile));
    this.#operatorTrust.replace(this.#enrolment.roots());
    this.#operatorTrust.onChange(() => this.#enrolment.remember(this.#operatorTrust.roots));
  }

  /** Starts to get and renew the proxy's own SVID. */
  start(link: OperatorLink): void {
    this.#link = link;
    this.#renewal = new SvidRenewal(this.own, this.#operatorTrust, (csr) => this.#issueOwn(csr), this.#log);
    this.#renewal.start();
    this.#sleep = new SleepWatch((jumpMs) => this.#woken(jumpMs));
  }

  /** Takes what a configuration says about whom to trust. */
  follow(told: TrustUpdate): void {
    this.#told = told;
    this.#operatorTrust.replace(told.roots);
    this.#applyTrust();
  }

  /** At a change, what is held goes on until the other side gave something. */
  #supplyFrom(path: string | null): void {
    this.#source?.stop();
    this.#source = path === null ? null : new X509Source({ path, trustDomain: this.#config.trustDomain, changed: () => this.#sourced(), log: this.#log });
    for (const held of this.#workloads.values()) {
      void held.renewal?.stop();
      held.renewal = this.#renewalOf(held);
    }
    this.#source?.start();
    this.#log.info({ path }, path === null ? 'workloads take their SVIDs from the operator' : 'workloads take their SVIDs from a Workload API');
  }

  /** Until a Workload API has spoken, the roots of before stay; the operator's count for nothing while there is one. */
  #applyTrust(): void {
    if (!this.#told) return;
    if (!this.#source) return this.trust.update(this.#told);
    const { roots, federated } = this.#source.state ?? { roots: [], federated: new Map<string, never>() };
    this.trust.update({ roots, jwtKeys: [], federated: new Map([...this.#told.federated, ...federated]), denylist: this.#told.denylist });
  }

  /** The bundle first: an SVID under a new root is of no use to those who do not trust that root yet. */
  #sourced(): void {
    this.#applyTrust();
    for (const held of this.#workloads.values()) this.#supply(held);
  }

  /** Takes what the Workload API has for an identity. What it took back is given up; what it spoiled is kept until it expires. */
  #supply({ credentials }: HeldIdentity): void {
    const { spiffeId, svid: before } = credentials;
    const given = this.#source?.svidOf(spiffeId);
    if (given === undefined || !this.#source?.state) return;
    if (typeof given !== 'string') {
      if (given.chain.join() === before?.chain.join()) return;
      credentials.install(given);
      this.#log.info({ spiffeId, serial: given.serial, notAfter: new Date(given.notAfter).toISOString() }, 'SVID installed');
      return;
    }
    if (before && !this.#source.state.refused.has(spiffeId)) credentials.withdraw();
    this.#log.warn({ spiffeId, reason: given }, 'no SVID');
  }

  /**
   * Brings the held identities in line with the workloads now served. A changed SPIFFE ID is a new identity.
   *
   * @param socket the Workload API that supplies them, unless this process was told another; null: the operator does
   */
  serve(workloads: readonly IdentifiedWorkload[], socket: string | null): void {
    const path = socket === null ? null : (this.#config.workloadApiSocket ?? socket);
    if (path !== (this.#source?.status.path ?? null)) this.#supplyFrom(path);
    const wanted = new Map(workloads.map((workload) => [keyOf(workload), workload]));
    for (const [key, held] of this.#workloads) {
      if (wanted.has(key)) continue;
      this.#workloads.delete(key);
      void Promise.resolve(held.renewal?.stop()).then(() => held.credentials.dispose());
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
      svid ? [{ spiffeId: svid.spiffeId, serial: svid.serial, notAfter: svid.notAfter, workload, ...(svid.external ? { notBefore: svid.notBefore } : {}) }] : [],
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

  /** Identities that have no valid SVID at `now`, with the reason where it is known: why this proxy is not ready. */
  lacking(now: number): string[] {
    const missing = ({ svid }: Credentials) => !svid || svid.notAfter <= now;
    const workloads = [...this.#workloads.values()].map(({ credentials }) => credentials).filter(missing);
    return [...(missing(this.own) ? [this.own.spiffeId] : []), ...workloads.map(({ spiffeId }) => this.#lackOf(spiffeId))];
  }

  #lackOf(spiffeId: string): string {
    const given = this.#source?.svidOf(spiffeId);
    if (given === undefined) return spiffeId;
    const { problem, path } = this.#source?.status ?? {};
    return `${spiffeId}: ${typeof given === 'string' ? given : `it expired, and Workload API ${path} gives no other${problem ? ` (${problem})` : ''}`}`;
  }

  /** The Workload API that supplies the workloads; null while the operator does. */
  get source(): SourceStatus | null {
    return this.#source?.status ?? null;
  }

  async stop(): Promise<void> {
    this.#sleep?.stop();
    this.#source?.stop();
    const renewals = [...this.#workloads.values()].map((held) => held.renewal?.stop());
    await Promise.all([this.#renewal?.stop(), ...renewals]);
  }

  /** SVIDs may have expired, and connections are most likely dead, though no timer has come due. */
  #woken(jumpMs: number): void {
    this.#log.warn({ jumpMs }, 'the clock jumped; looking at every SVID again');
    this.#link?.reset();
    this.#renewal?.wake();
    this.#source?.start();
    for (const { renewal } of this.#workloads.values()) renewal?.wake();
  }

  #hold({ namespace, name, spiffeId }: IdentifiedWorkload): HeldIdentity {
    const credentials = new Credentials(spiffeId, this.trust);
    credentials.onChange(() => this.#changed());
    const held: HeldIdentity = { workload: { namespace, name }, credentials, renewal: null };
    held.renewal = this.#renewalOf(held);
    this.#supply(held);
    return held;
  }

  /** Renewal by the operator, started; null while a Workload API supplies. */
  #renewalOf({ workload, credentials }: HeldIdentity): SvidRenewal | null {
    if (this.#source) return null;
    const renewal = new SvidRenewal(credentials, this.trust, (csr) => this.#issue({ workload, csr }), this.#log);
    renewal.start();
    return renewal;
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
