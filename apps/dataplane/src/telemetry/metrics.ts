import { Counter, Gauge, Registry } from 'prom-client';
import type { FlowAmounts, FlowFacts } from './flow-counter.ts';
import type { HeldSvid } from '../identity/identities.ts';

/** Values that are read when somebody asks. Ages in seconds, null for "never". */
export interface MetricSources {
  readonly configAge: () => number | null;
  readonly svids: () => readonly HeldSvid[];
  readonly pendingReports: () => number;
  readonly tunnels: () => { readonly inbound: OpenTunnels; readonly outbound: OpenTunnels };
}

interface OpenTunnels {
  readonly connections: number;
  readonly streams: number;
}

/** A workload may ask for any name, so that destinations have no bound of their own. */
const MAX_SERIES = 2_000;
const ELSEWHERE: FlowFacts['destination'] = { namespace: '{other}', workload: null, service: '{other}', port: 0 };

/** Bytes of one side, in and out. */
interface SideBytes {
  received: number;
  sent: number;
}

/** A line of `sallyport_proxy_requests_total`, made once by {@link Metrics.series} and added to for ever. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly bytes: SideBytes;
  requests: number;
}

/** The metrics of one proxy in Prometheus' text format. README.md lists them. */
export class Metrics {
  readonly #registry = new Registry();
  /** Plain numbers by their labels: prom-client would hash the labels of each call again. */
  readonly #series = new Map<string, Series>();
  readonly #bytes = new Map<FlowFacts['side'], SideBytes>();
  readonly #handshakes: Counter;
  readonly #shadows: Counter;

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    this.#defineCalls(registers);
    this.#handshakes = new Counter({ name: 'sallyport_proxy_handshakes_refused_total', help: 'TLS handshakes refused at inbound ports.', registers });
    this.#shadows = new Counter({ name: 'sallyport_proxy_shadow_matches_total', help: 'Calls that a DryRun or AUDIT policy matched, which decided nothing.', labelNames: ['policy', 'action'], registers });
    defineGauges(sources, registers);
    defineTunnelGauges(sources, registers);
  }

  /** The series that calls with these facts belong to. When there are too many, destinations fall together. */
  series(facts: FlowFacts): Series {
    const { side, destination, protocol, mtls, verdict, reason } = facts;
    const { namespace, workload, service, port } = destination;
    const labels = { side, namespace, workload: workload ?? '', service: service ?? '', port: String(port), protocol, mtls, verdict, reason: reason ?? '' };
    const key = Object.values(labels).join('\0');
    const known = this.#series.get(key);
    if (known) return known;
    if (this.#series.size >= MAX_SERIES && destination !== ELSEWHERE) return this.series({ ...facts, destination: ELSEWHERE });
    const bytes = this.#bytes.get(side) ?? { received: 0, sent: 0 };
    const series = { labels, bytes, requests: 0 };
    this.#bytes.set(side, bytes);
    this.#series.set(key, series);
    return series;
  }

  add(series: Series, amounts: FlowAmounts): void {
    series.requests += amounts.count;
    series.bytes.received += amounts.bytesReceived;
    series.bytes.sent += amounts.bytesSent;
  }

  handshakeRefused(): void {
    this.#handshakes.inc();
  }

  shadow(policy: string, action: string): void {
    this.#shadows.inc({ policy, action });
  }

  #defineCalls(registers: Registry[]): void {
    const define = (name: string, help: string, labelNames: string[], fill: (counter: Counter) => void) => {
      const counter: Counter = new Counter({ name, help, labelNames, registers, collect: () => {
        counter.reset();
        fill(counter);
      } });
    };
    const labelNames = ['side', 'namespace', 'workload', 'service', 'port', 'protocol', 'mtls', 'verdict', 'reason'];
    define('sallyport_proxy_requests_total', 'HTTP requests and TCP connections.', labelNames, (counter) => {
      for (const { labels, requests } of this.#series.values()) if (requests > 0) counter.inc(labels, requests);
    });
    define('sallyport_proxy_received_bytes_total', 'Body bytes from source to destination.', ['side'], (counter) => {
      for (const [side, { received }] of this.#bytes) counter.inc({ side }, received);
    });
    define('sallyport_proxy_sent_bytes_total', 'Body bytes from destination to source.', ['side'], (counter) => {
      for (const [side, { sent }] of this.#bytes) counter.inc({ side }, sent);
    });
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
