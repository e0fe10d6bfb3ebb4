import { Counter, Gauge, Registry } from 'prom-client';
import { REFUSALS } from '../ca/refusals.ts';
import { caCertificates, laggards } from '../observe/views/ca.ts';
import { certificateItems, pastHalfRotationInterval } from '../observe/views/certificates.ts';
import { foreignEntries } from '../observe/views/foreign-bundles.ts';
import { proxiesView } from '../observe/views/overview.ts';
import { openSignals } from '../history/signals.ts';
import type { ApiDependencies } from './dependencies.ts';

/** Prometheus text of what the operator knows now. Figures are counted at scrape time, so none can go stale. */
export async function metricsText(dependencies: ApiDependencies): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[] = []) => new Gauge({ name, help, labelNames, registers: [registry] });
  const [certificates, proxies, signals] = await Promise.all([
    certificateItems(dependencies),
    proxiesView(dependencies, dependencies.hub),
    openSignals(dependencies.database),
  ]);
  const live = gauge('sallyport_proxy_live', '1 when the proxy reported within the last 15 s', ['proxy']);
  const connected = gauge('sallyport_proxy_connected', '1 when the proxy holds a config stream', ['proxy']);
  for (const proxy of proxies.items) {
    live.set({ proxy: proxy.name }, proxy.live ? 1 : 0);
    connected.set({ proxy: proxy.name }, proxy.connected ? 1 : 0);
  }
  const expiry = gauge('sallyport_svid_not_after_seconds', 'End of validity of the newest SVID, seconds since the epoch', ['spiffe_id', 'proxy']);
  for (const item of certificates) expiry.set({ spiffe_id: item.spiffeId, proxy: item.proxy }, Date.parse(item.notAfter) / 1000);
  const share = pastHalfRotationInterval(certificates);
  if (share !== null) gauge('sallyport_workloads_past_half_rotation_ratio', 'Share of workloads whose SVID is older than half of the rotation interval; about 0.5 is normal').set(share);
  await caMetrics(dependencies, registry, gauge);
  gauge('sallyport_signals_open', 'Signals that hold now').set(signals.length);
  return registry.metrics();
}

type MakeGauge = (name: string, help: string, labelNames?: string[]) => Gauge;

/** What we trust of other trust domains. A domain without a bundle has no series. */
function foreignMetrics({ federation, now }: ApiDependencies, gauge: MakeGauge): void {
  const ends = gauge('sallyport_foreign_bundle_not_after_seconds', 'End of validity of a root of another trust domain, seconds since the epoch', ['trust_domain', 'fingerprint']);
  const keys = gauge('sallyport_foreign_bundle_jwt_keys', 'Keys for JWT-SVIDs in the bundle of another trust domain', ['trust_domain']);
  const usable = gauge('sallyport_foreign_bundle_roots_valid', 'Roots of another trust domain that are valid now; without one all its calls are refused', ['trust_domain']);
  for (const { trustDomain, use, fingerprint, notAfter, lifetimeUsed } of foreignEntries(federation.bundles, now())) {
    keys.inc({ trust_domain: trustDomain }, use === 'jwt-svid' ? 1 : 0);
    usable.inc({ trust_domain: trustDomain }, lifetimeUsed !== null && lifetimeUsed < 1 ? 1 : 0);
    if (notAfter !== null && fingerprint !== null) ends.set({ trust_domain: trustDomain, fingerprint }, Date.parse(notAfter) / 1000);
  }
}

/** Every certificate that signs and every entry of the bundle, what was issued and refused, and who lags behind the bundle. */
async function caMetrics(dependencies: ApiDependencies, registry: Registry, gauge: MakeGauge): Promise<void> {
  const { authority, ca, issuance, now } = dependencies;
  const labels = ['role', 'state', 'parent', 'in_bundle', 'fingerprint'];
  const ends = gauge('sallyport_ca_not_after_seconds', 'End of validity of a CA certificate or bundle entry, seconds since the epoch', labels);
  const used = gauge('sallyport_ca_lifetime_used_ratio', 'Share of the life of a CA certificate that has passed; above 1 it has expired', labels);
  for (const entry of caCertificates(authority.document, ca.policy, [], now()).filter(({ state }) => state !== 'removed')) {
    const set = { role: entry.role, state: entry.state, parent: entry.parent, in_bundle: String(entry.inBundle), fingerprint: entry.fingerprint };
    ends.set(set, Date.parse(entry.notAfter) / 1000);
    used.set(set, entry.lifetimeUsed);
  }
  foreignMetrics(dependencies, gauge);
  gauge('sallyport_ca_anchored', '1 when the CA stands under the parent that the Mesh asks for').set(ca.condition.status === 'True' ? 1 : 0);
  gauge('sallyport_bundle_sequence', 'Sequence number of the trust bundle').set(authority.document.sequence);
  const lag = gauge('sallyport_bundle_ack_lag_seconds', 'Since when a root is published that a live proxy has not acknowledged; no value for proxies that have them all', ['proxy']);
  for (const { proxy, acknowledged } of await laggards(dependencies)) {
    const missing = authority.document.entries.filter(({ sequence }) => sequence !== null && sequence > (acknowledged ?? 0)).map(({ publishedAt }) => publishedAt ?? now());
    lag.set({ proxy }, Math.max(0, (now() - Math.min(now(), ...missing)) / 1000));
  }
  const counter = (name: string, help: string, label: string, counts: ReadonlyMap<string, number>) => {
    const made = new Counter({ name, help, labelNames: [label], registers: [registry] });
    for (const [value, count] of counts) made.inc({ [label]: value }, count);
  };
  counter('sallyport_svids_issued_total', 'SVIDs issued since the start, by what was attested', 'attestation', issuance.counts.issued);
  // From the first scrape on: an increase from nothing to one is none to Prometheus.
  counter('sallyport_svids_refused_total', 'Requests for an SVID that were refused since the start, by reason', 'reason', new Map([...REFUSALS.map((reason) => [reason, 0] as const), ...issuance.counts.refused]));
}
