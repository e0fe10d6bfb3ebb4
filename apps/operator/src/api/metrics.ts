import { Gauge, Registry } from 'prom-client';
import { certificateItems, pastHalfRotationInterval } from '../observe/views/certificates.ts';
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
  gauge('sallyport_signals_open', 'Signals that hold now').set(signals.length);
  return registry.metrics();
}
