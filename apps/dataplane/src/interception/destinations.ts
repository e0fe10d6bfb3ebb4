import type { Snapshot } from '../authz/snapshot.ts';
import type { Endpoint } from '../http/route.ts';
import { formatAddress, type InetAddress } from '../listener/address.ts';
import type { Meant } from '../listener/outbound-port.ts';
import { canonicalIp } from './original-destination.ts';

/** What a snapshot knows by address. */
interface Known {
  /** By `address:port`. */
  readonly places: ReadonlyMap<string, Meant>;
  /** One endpoint of each address that a proxy serves. */
  readonly meshHosts: ReadonlyMap<string, { readonly endpoint: Endpoint; readonly meant: Meant }>;
}

/** Snapshots are immutable: what follows from one is made once. */
const known = new WeakMap<Snapshot, Known>();

/**
 * Whom a workload calls by an address: a service by an address of its own, else the very endpoint that was asked for. A port
 * that no service names, of a workload of the mesh, is that workload's too, and never called in plaintext. Null for an address
 * that the mesh does not know.
 */
export function meantBy(snapshot: Snapshot, { host, port }: InetAddress): Meant | null {
  const { places, meshHosts } = knownOf(snapshot);
  const place = places.get(formatAddress({ host, port }));
  if (place) return place;
  const found = meshHosts.get(host);
  if (!found) return null;
  // HBONE leads to the ports that are declared; mutual TLS on the port itself leads to all.
  const endpoint = { ...found.endpoint, port, hbone: null };
  const destination = { ...found.meant.destination, service: null, port };
  return { called: found.meant.called, destination, port: { port, protocol: 'tcp', endpoints: [endpoint] }, endpoint };
}

function knownOf(snapshot: Snapshot): Known {
  const before = known.get(snapshot);
  if (before) return before;
  const made = index(snapshot);
  known.set(snapshot, made);
  return made;
}

function index({ services }: Snapshot): Known {
  const places = new Map<string, Meant>();
  const meshHosts = new Map<string, { endpoint: Endpoint; meant: Meant }>();
  // By name, so that an endpoint of several services is the same one's in every proxy.
  const sorted = [...services.values()].sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
  for (const { namespace, name, addresses = [], ports } of sorted) {
    for (const port of ports) {
      const destination = { namespace, workload: null, service: name, port: port.port };
      const service: Meant = { called: { namespace, name }, destination, port, endpoint: null };
      for (const address of addresses) places.set(formatAddress({ host: canonicalIp(address), port: port.port }), service);
      for (const endpoint of port.endpoints.flatMap(byEveryAddress)) {
        const host = canonicalIp(endpoint.address);
        const meant = { ...service, endpoint };
        const key = formatAddress({ host, port: endpoint.port });
        if (!places.has(key)) places.set(key, meant);
        if (endpoint.spiffeId !== null && !meshHosts.has(host)) meshHosts.set(host, { endpoint, meant });
      }
    }
  }
  return { places, meshHosts };
}

/** HBONE is taken at the first address alone; mutual TLS on the port itself at all. */
function byEveryAddress(endpoint: Endpoint): Endpoint[] {
  return [endpoint, ...(endpoint.otherAddresses ?? []).map((address) => ({ ...endpoint, address, hbone: null }))];
}
