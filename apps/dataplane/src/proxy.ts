import { compileSnapshot, type Snapshot } from './authz/snapshot.ts';
import type { ProxyConfig } from './config.ts';
import { type ConfigSet, RefusedConfigError } from './config-stream/config-set.ts';
import { ConfigStream } from './config-stream/config-stream.ts';
import { OperatorLink } from './config-stream/operator-link.ts';
import { SavedConfigFile } from './config-stream/saved-config.ts';
import { Authorizers } from './ext-authz/authorizers.ts';
import { HboneClient } from './hbone/client.ts';
import { InboundHttp } from './http/inbound.ts';
import { OutboundHttp } from './http/outbound.ts';
import { Identities } from './identity/identities.ts';
import { prepareStateDirectory } from './identity/state-dir.ts';
import { inboundHandler } from './listener/inbound-sniffed.ts';
import { LIMITS, type Limits } from './listener/limits.ts';
import { Listeners } from './listener/listeners.ts';
import { type ProbeServer, startProbes } from './probes/server.ts';
import { InboundTcp } from './tcp/inbound.ts';
import { OutboundTcp } from './tcp/outbound.ts';
import { type AdminServer, startAdmin } from './telemetry/admin.ts';
import { FlowCounter } from './telemetry/flow-counter.ts';
import { Outlets } from './telemetry/outlets.ts';
import type { Log } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { Recorder } from './telemetry/recorder.ts';
import { Reporter } from './telemetry/reporter.ts';
import { writeSource } from './workload-client/metrics.ts';
import { WorkloadEndpoint } from './workload-api/endpoint.ts';

/** The operator speaks at least every 10 s; three times that is silence. */
const STREAM_IDLE_MS = 30_000;
const DRAIN_MS = 5_000;
/** Calls are over by then: this is for the goodbye. */
const TUNNELS_END_MS = 500;
const LAST_REPORT_MS = 3_000;
const RETRY_SAVED_MS = 2_000;

/** What runs: a configuration set and its compiled form. `confirmedAt` in ms since the epoch. */
interface Running {
  readonly set: ConfigSet;
  readonly snapshot: Snapshot;
  readonly confirmedAt: number;
}

/** One proxy: wires the rooms together and takes configurations into use, all or nothing. */
export class Proxy {
  readonly #config: ProxyConfig;
  readonly #log: Log;
  readonly #identities: Identities;
  readonly #link: OperatorLink;
  readonly #saved: SavedConfigFile;
  readonly #authorizers = new Authorizers();
  readonly #listeners: Listeners;
  readonly #tunnels: HboneClient;
  readonly #reporter: Reporter;
  readonly #metrics: Metrics;
  readonly #outlets: Outlets;
  readonly #workloadApi: WorkloadEndpoint | null;
  #stream: ConfigStream | null = null;
  #running: Running | null = null;
  #admin: AdminServer | null = null;
  #probes: ProbeServer | null = null;
  #turn: Promise<void> = Promise.resolve();
  #stopping = false;

  /** @throws Error naming the file when the state directory or the bootstrap bundle cannot be used */
  constructor(config: ProxyConfig, log: Log, limits: Limits = LIMITS) {
    this.#config = config;
    this.#log = log;
    prepareStateDirectory(config.stateDir);
    this.#identities = new Identities(config, log);
    this.#link = new OperatorLink(config.streamUrl, config.trustDomain, this.#identities.own);
    this.#workloadApi = config.workloadApi === null ? null : new WorkloadEndpoint(config.workloadApi, this.#identities, () => this.#running?.snapshot ?? null, log);
    this.#saved = new SavedConfigFile(config.stateDir);
    this.#outlets = new Outlets(config, log);
    const counter = new FlowCounter(config.proxy);
    this.#metrics = new Metrics({
      configAge: () => this.#configAge(),
      svids: () => this.#identities.held(),
      pendingReports: () => this.#reporter.pending,
      reportGaps: () => this.#reporter.gaps,
      intercepting: () => this.#listeners.intercepting,
      tunnels: () => ({ inbound: this.#listeners.tunnels, outbound: this.#tunnels.open }),
      more: [...this.#outlets.written, { write: (to) => writeSource(to, this.#identities.source, Date.now()) }],
    });
    const recorder = this.#outlets.recorder(counter, this.#metrics);
    this.#tunnels = new HboneClient(log);
    this.#listeners = this.#createListeners(recorder, limits);
    this.#reporter = new Reporter({
      link: this.#link,
      counter,
      context: () => ({
        svids: this.#identities.held(),
        configVersion: this.#running?.snapshot.version ?? null,
        configAgeSeconds: this.#configAge(),
      }),
      flush: () => recorder.flush(),
      interval: config.reportInterval,
      log,
    });
  }

  /** Port of the admin server on 127.0.0.1; 0 before {@link start}. */
  get adminPort(): number {
    return this.#admin?.port ?? 0;
  }

  /** What keeps this proxy from being ready; empty when nothing does. */
  unready(): string[] {
    const reasons = this.#identities.lacking(Date.now()).map((id) => `no valid SVID for ${id}`);
    if (!this.#running) reasons.unshift('never configured: nothing is accepted');
    if (this.#listeners.intercepting.broken) reasons.push('the redirect rules are not in place, or not known to be: nothing is accepted from peers (sallyport-redirect apply)');
    return reasons;
  }

  /** Serves the last good configuration, then follows the operator. @throws Error when the admin or the probe port is taken */
  async start(): Promise<void> {
    const { adminPort, probes, proxy, role } = this.#config;
    this.#admin = await startAdmin(adminPort, { unready: () => this.unready(), metrics: this.#metrics, config: () => this.#dump() });
    this.#probes = probes && (await startProbes(probes, () => this.unready()));
    this.#log.info({ role, adminPort: this.#admin.port, probePort: this.#probes?.port ?? null }, 'proxy started');
    await this.#workloadApi?.listen();
    this.#identities.start(this.#link);
    const initial = await this.#useSaved();
    const stream = new ConfigStream({
      proxy,
      link: this.#link,
      apply: (set, version) => this.#inTurn(() => this.#apply(set, version, Date.now())),
      initial,
      idleLimit: STREAM_IDLE_MS,
      log: this.#log,
    });
    this.#stream = stream;
    stream.start();
    this.#reporter.start();
    this.#outlets.start();
  }

  /** Opens files anew that were moved away. */
  reopenLogs(): void {
    this.#outlets.reopen();
  }

  /** Stops accepting, finishes what is in flight (at most 5 s), delivers the last report and ends. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#stream?.stop();
    await this.#listeners.close(DRAIN_MS);
    await this.#tunnels.close(TUNNELS_END_MS);
    await Promise.all([this.#reporter.stop(LAST_REPORT_MS), this.#outlets.stop(LAST_REPORT_MS)]);
    await this.#identities.stop();
    this.#link.close();
    this.#authorizers.close();
    this.#workloadApi?.close();
    this.#admin?.close();
    this.#probes?.close();
    this.#log.info('proxy stopped');
  }

  #createListeners(recorder: Recorder, limits: Limits): Listeners {
    return new Listeners({
      recorder,
      limits,
      log: this.#log,
      credentialsOf: (workload) => this.#identities.credentialsOf(workload),
      createHandler: (target) => inboundHandler(target, recorder, (of) => new InboundHttp(of, recorder, this.#authorizers), (of) => new InboundTcp(of, recorder, this.#authorizers)),
      createOutbound: (target) => (target().spec.protocol === 'http' ? new OutboundHttp(target, recorder, this.#tunnels) : new OutboundTcp(target, recorder, this.#tunnels)),
    });
  }

  /** Serves the last good configuration if there is one that can be used; returns it, or the empty set. */
  async #useSaved(): Promise<ConfigSet> {
    try {
      const saved = this.#saved.read();
      if (!saved) return new Map();
      await this.#inTurn(() => this.#apply(saved.set, saved.version, saved.confirmedAt));
      this.#log.info({ version: saved.version, confirmedAt: new Date(saved.confirmedAt).toISOString() }, 'last good configuration in use');
      return saved.set;
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'saved configuration not used yet; nothing is accepted');
      // A predecessor may still hold the ports while it drains.
      if (error instanceof RefusedConfigError) this.#useSavedLater();
      return new Map();
    }
  }

  #useSavedLater(): void {
    const timer = setTimeout(() => {
      if (!this.#running && !this.#stopping) void this.#useSaved();
    }, RETRY_SAVED_MS);
    timer.unref();
  }

  /** One configuration at a time. */
  #inTurn(apply: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(apply);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #apply(set: ConfigSet, version: string, confirmedAt: number): Promise<void> {
    const snapshot = compileSnapshot(set, version, this.#config.trustDomain);
    // Identities first: a listener takes its credentials from them. Those of the present configuration stay until it is left.
    this.#identities.serve([...(this.#running?.snapshot.workloads ?? []), ...snapshot.workloads], supplierOf(snapshot));
    try {
      const prepared = await this.#listeners.prepare(snapshot);
      this.#identities.follow(snapshot.trust);
      this.#running = { set, snapshot, confirmedAt };
      this.#authorizers.update(snapshot.mesh);
      prepared.commit();
    } finally {
      this.#identities.serve(this.#running?.snapshot.workloads ?? [], supplierOf(this.#running?.snapshot));
    }
    this.#workloadApi?.changed();
    this.#save();
  }

  #save(): void {
    const { set, snapshot, confirmedAt } = this.#running ?? {};
    if (!set || !snapshot || confirmedAt === undefined) return;
    try {
      this.#saved.write({ version: snapshot.version, confirmedAt, set });
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'configuration in use but not saved; a restart without the operator would use an older one');
    }
  }

  /** Seconds since the operator stood behind what runs; null when nothing runs. */
  #configAge(): number | null {
    if (!this.#running) return null;
    const confirmed = Math.max(this.#running.confirmedAt, this.#stream?.confirmedAt ?? 0);
    return Math.max(0, Math.round((Date.now() - confirmed) / 1000));
  }

  #dump(): unknown {
    const entries = [...(this.#running?.set ?? [])].map(([name, { hash }]) => ({ name, hash }));
    return { proxy: this.#config.proxy, version: this.#running?.snapshot.version ?? null, ageSeconds: this.#configAge(), workloadApi: this.#identities.source, entries };
  }
}

/** Socket of the Workload API that the Mesh names as the source of identities, or null. */
function supplierOf(snapshot: Snapshot | undefined): string | null {
  return snapshot?.mesh.ca.spire?.workloadApi ?? null;
}
