import { Counter, Gauge, Registry } from 'prom-client';
import type { FlowAmounts, FlowFacts } from './flow-counter.ts';
import type { HeldSvid } from '../identity/identities.ts';

/** Values that are read when somebody asks. Ages in seconds, null for "never". */
export interface MetricSources {
  readonly configAge: () => number | null;
  readonly svids: () => readonly HeldSvid[];
  readonly pendingReports: () => number;
  /** `broken` when connections should be redirected to us and are not known to be; `intact` is true when they are. */
  readonly intercepting: () => { readonly intact: boolean | null; readonly broken: boolean };
  readonly tunnels: () => { readonly inbound: OpenTunnels; readonly outbound: OpenTunnels };
}

interface OpenTunnels {
  readonly connections: number;
  readonly streams: number;
}

/** The metrics of one proxy in Prometheus' text format. README.md lists them. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #handshakes: Counter;
  readonly #shadows: Counter;

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    const labelNames = ['side', 'namespace', 'workload', 'service', 'port', 'protocol', 'mtls', 'verdict', 'reason'];
    this.#requests = new Counter({ name: 'sallyport_proxy_requests_total', help: 'HTTP requests and TCP connections.', labelNames, registers });
    this.#received = new Counter({ name: 'sallyport_proxy_received_bytes_total', help: 'Body bytes from source to destination.', labelNames: ['side'], registers });
    this.#sent = new Counter({ name: 'sallyport_proxy_sent_bytes_total', help: 'Body bytes from destination to source.', labelNames: ['side'], registers });
    this.#handshakes = new Counter({ name: 'sallyport_proxy_handshakes_refused_total', help: 'TLS handshakes refused at inbound ports.', registers });
    this.#shadows = new Counter({ name: 'sallyport_proxy_shadow_matches_total', help: 'Calls that a DryRun or AUDIT policy matched, which decided nothing.', labelNames: ['policy', 'action'], registers });
    defineGauges(sources, registers);
    defineTunnelGauges(sources, registers);
    defineInterceptionGauge(sources, registers);
  }

  count({ side, destination, protocol, mtls, verdict, reason }: FlowFacts, amounts: FlowAmounts): void {
    const { namespace, workload, service, port } = destination;
    const labels = { side, namespace, workload: workload ?? '', service: service ?? '', port: String(port), protocol, mtls, verdict, reason: reason ?? '' };
    if (amounts.count > 0) this.#requests.inc(labels, amounts.count);
    this.#received.inc({ side }, amounts.bytesReceived);
    this.#sent.inc({ side }, amounts.bytesSent);
  }

  handshakeRefused(): void {
    this.#handshakes.inc();
  }

  shadow(policy: string, action: string): void {
    this.#shadows.inc({ policy, action });
  }

  /** The exposition text and its content type. */
  async render(): Promise<{ type: string; text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}

function defineGauges(sources: MetricSources, registers: Registry[]): void {
  void new Gauge({
    name: 'sallyport_proxy_config_age_seconds',
    help: 'Seconds since the operator confirmed the configuration in force; absent when never configured.',
    registers,
    collect() {
      const age = sources.configAge();
      if (age === null) this.remove();
      else this.set(age);
    },
  });
  void new Gauge({
    name: 'sallyport_proxy_svid_not_after_seconds',
    help: 'End of validity of each SVID, as Unix time.',
    labelNames: ['spiffe_id', 'workload'],
    registers,
    collect() {
      this.reset();
      for (const { spiffeId, notAfter, workload } of sources.svids()) {
        this.set({ spiffe_id: spiffeId, workload: workload ? `${workload.namespace}/${workload.name}` : '' }, notAfter / 1000);
      }
    },
  });
  void new Gauge({
    name: 'sallyport_proxy_reports_pending',
    help: 'Telemetry reports that the operator has not accepted yet.',
    registers,
    collect() {
      this.set(sources.pendingReports());
    },
  });
}

function defineInterceptionGauge(sources: MetricSources, registers: Registry[]): void {
  void new Gauge({
    name: 'sallyport_proxy_interception_intact',
    help: 'Whether the rules that redirect connections to this proxy are in place: 1 or 0; absent when nothing is to be redirected.',
    registers,
    collect() {
      const { intact, broken } = sources.intercepting();
      if (broken || intact !== null) this.set(broken ? 0 : 1);
      else this.remove();
    },
  });
}

function defineTunnelGauges(sources: MetricSources, registers: Registry[]): void {
  for (const what of ['connections', 'streams'] as const) {
    void new Gauge({
      name: `sallyport_proxy_hbone_${what}`,
      help: `Open HBONE ${what}: inbound from other proxies, outbound to them.`,
      labelNames: ['side'],
      registers,
      collect() {
        const { inbound, outbound } = sources.tunnels();
        this.set({ side: 'inbound' }, inbound[what]);
        this.set({ side: 'outbound' }, outbound[what]);
      },
    });
  }
}
