import type { DenyEvent } from '../mesh/index.ts';

/** What denies are grouped by: the verified identity, or the address of a plaintext peer. */
export function sourceOfDeny(event: DenyEvent): string {
  return event.source.principal ?? event.source.ip;
}

/** `namespace/service:port`, or the workload where the port belongs to no service. */
export function destinationOfDeny(event: DenyEvent): string {
  const { namespace, service, workload, port } = event.destination;
  return `${namespace}/${service ?? workload}:${port}`;
}

/** The namespace that all events were aimed at, or null when there were several. */
export function commonNamespace(events: readonly DenyEvent[]): string | null {
  const namespaces = new Set(events.map((event) => event.destination.namespace));
  return namespaces.size === 1 ? ([...namespaces][0] ?? null) : null;
}

/** When the newest of the events happened, ms since the epoch. */
export function lastAt(events: readonly DenyEvent[]): number {
  return events.reduce((latest, event) => Math.max(latest, event.at), 0);
}

/** Console path of the deny list for one source. */
export function deniesLink(source: string): string {
  return `/signals?tab=denies&source=${encodeURIComponent(source)}`;
}
