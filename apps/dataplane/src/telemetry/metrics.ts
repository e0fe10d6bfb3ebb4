import type { LimitName } from '../listener/limits.ts';
import type { HeldSvid } from '../identity/identities.ts';
import { Exposition, EXPOSITION_TYPE, labelText } from './exposition.ts';
import type { FlowAmounts, FlowFacts } from './flow-counter.ts';
import { ByteCounts, RedMetrics } from './red.ts';
import type { CallMeter } from './series.ts';

/** Values that are read when somebody asks. Ages in seconds, null for "never". */
export interface MetricSources {
  readonly configAge: () => number | null;
  readonly svids: () => readonly HeldSvid[];
  readonly pendingReports: () => number;
  /** Reports that said that something was lost. */
  readonly reportGaps: () => number;
  /** `broken` when connections should be redirected to us and are not known to be; `intact` is true when they are. */
  readonly intercepting: () => { readonly intact: boolean | null; readonly broken: boolean };
  readonly tunnels: () => { readonly inbound: OpenTunnels; readonly outbound: OpenTunnels };
  /** Others that keep their own count. */
  readonly more: readonly { write(to: Exposition): void }[];
}

interface OpenTunnels {
  readonly connections: number;
  readonly streams: number;
}

/** The metrics of one proxy in Prometheus' text format. docs/telemetry.md lists them. */
export class Metrics {
  readonly #sources: MetricSources;
  readonly #red = new RedMetrics();
  readonly #bytes = new ByteCounts();
  readonly #shadows = new Map<string, { readonly labels: string; count: number }>();
  readonly #refused = new Map<LimitName, number>();
  #handshakesRefused = 0;
  #lost = 0;

  constructor(sources: MetricSources) {
    this.#sources = sources;
  }

  /** Where calls of this kind are counted. To be asked once and kept. */
  seriesOf(facts: FlowFacts): CallMeter {
    return this.#red.of(facts);
  }

  moved(side: FlowFacts['side'], amounts: FlowAmounts): void {
    this.#bytes.add(side, amounts);
  }

  handshakeRefused(): void {
    this.#handshakesRefused += 1;
  }

  connectionRefused(limit: LimitName): void {
    this.#refused.set(limit, (this.#refused.get(limit) ?? 0) + 1);
  }

  /** A call that the reports have no room for. */
  lost(): void {
    this.#lost += 1;
  }

  /** Policies are the configuration's, so their number is bounded. */
  shadow(policy: string, action: string): void {
    const key = `${policy} ${action}`;
    const known = this.#shadows.get(key);
    if (known) known.count += 1;
    else this.#shadows.set(key, { labels: labelText({ policy, action }), count: 1 });
  }

  /** The exposition text and its content type. */
  render(): { type: string; text: string } {
    const to = new Exposition();
    this.#red.write(to);
    this.#bytes.write(to);
    to.single('sallyport_proxy_handshakes_refused_total', 'counter', 'TLS handshakes refused at inbound ports.', this.#handshakesRefused);
    const refused = 'sallyport_proxy_connections_refused_total';
    to.family(refused, 'counter', 'Connections and HBONE streams closed because a limit was reached.');
    for (const [limit, count] of this.#refused) to.sample(refused, labelText({ limit }), count);
    const shadows = 'sallyport_proxy_shadow_matches_total';
    to.family(shadows, 'counter', 'Calls that a DryRun or AUDIT policy matched, which decided nothing.');
    for (const { labels, count } of this.#shadows.values()) to.sample(shadows, labels, count);
    this.#writeSources(to);
    return { type: EXPOSITION_TYPE, text: to.text() };
  }

  #writeSources(to: Exposition): void {
    const { configAge, svids, pendingReports, reportGaps, intercepting, tunnels, more } = this.#sources;
    const age = configAge();
    if (age !== null) to.single('sallyport_proxy_config_age_seconds', 'gauge', 'Seconds since the operator confirmed the configuration in force; absent when never configured.', age);
    const expiry = 'sallyport_proxy_svid_not_after_seconds';
    to.family(expiry, 'gauge', 'End of validity of each SVID, as Unix time.');
    for (const { spiffeId, notAfter, workload } of svids()) {
      to.sample(expiry, labelText({ spiffe_id: spiffeId, workload: workload ? `${workload.namespace}/${workload.name}` : '' }), notAfter / 1000);
    }
    to.single('sallyport_proxy_reports_pending', 'gauge', 'Telemetry reports that the operator has not accepted yet.', pendingReports());
    to.single('sallyport_proxy_report_gaps_total', 'counter', 'Telemetry reports that were lost or incomplete, which the operator shows as a gap.', reportGaps());
    to.single('sallyport_proxy_unreported_total', 'counter', 'Calls and shadow matches that no report had room for.', this.#lost);
    const { inbound, outbound } = tunnels();
    for (const what of ['connections', 'streams'] as const) {
      const name = `sallyport_proxy_hbone_${what}`;
      to.family(name, 'gauge', `Open HBONE ${what}: inbound from other proxies, outbound to them.`);
      to.sample(name, 'side="inbound"', inbound[what]);
      to.sample(name, 'side="outbound"', outbound[what]);
    }
    const { intact, broken } = intercepting();
    if (broken || intact !== null) to.single('sallyport_proxy_interception_intact', 'gauge', 'Whether the rules that redirect connections to this proxy are in place: 1 or 0; absent when nothing is to be redirected.', broken ? 0 : 1);
    for (const each of more) each.write(to);
  }
}
