import { type Flow, InvalidSpiffeIdError, type MeshService, type MeshWorkload, parseSpiffeId } from '../mesh/index.ts';
import type { MeshState, SourceNode } from './types.ts';

/** The configured mesh, arranged for looking up who and what a flow names. */
export interface MeshLookup {
  readonly workloads: ReadonlyMap<string, MeshWorkload>;
  readonly services: ReadonlyMap<string, MeshService>;
  readonly byAddress: ReadonlyMap<string, MeshWorkload>;
  readonly bySpiffeId: ReadonlyMap<string, readonly MeshWorkload[]>;
  readonly byAccount: ReadonlyMap<string, readonly MeshWorkload[]>;
  /** The services that select a workload, by `namespace/name` of the workload. */
  readonly servicesOf: ReadonlyMap<string, readonly MeshService[]>;
  readonly trustDomains: ReadonlySet<string>;
}

// The state is immutable, so its arrangement can be kept with it; without this each flow would cost a whole scan.
const lookups = new WeakMap<MeshState, MeshLookup>();

/** The lookup of a mesh state; made once for each state object. */
export function lookupOf(mesh: MeshState): MeshLookup {
  const known = lookups.get(mesh);
  if (known) return known;
  const servicesOf = new Map<string, MeshService[]>();
  for (const service of [...mesh.services].sort((a, b) => compare(a.name, b.name))) {
    for (const name of service.workloads) {
      const key = `${service.namespace}/${name}`;
      servicesOf.set(key, [...(servicesOf.get(key) ?? []), service]);
    }
  }
  const made: MeshLookup = {
    workloads: new Map(mesh.workloads.map((workload) => [keyOf(workload), workload])),
    services: new Map(mesh.services.map((service) => [keyOf(service), service])),
    byAddress: soleHolders(mesh.workloads),
    bySpiffeId: Map.groupBy(mesh.workloads, (workload) => workload.spiffeId),
    byAccount: Map.groupBy(mesh.workloads, (workload) => `${workload.namespace}/${workload.serviceAccount}`),
    servicesOf,
    trustDomains: new Set(mesh.workloads.flatMap((workload) => trustDomainOf(workload.spiffeId) ?? [])),
  };
  lookups.set(mesh, made);
  return made;
}

/** Workloads by their address; of an address that several have, as pods in the network of their node, nobody is the holder. */
function soleHolders(workloads: readonly MeshWorkload[]): Map<string, MeshWorkload> {
  const holders = Map.groupBy(workloads, ({ address }) => address);
  return new Map([...holders].flatMap(([address, [first, ...more]]): [string, MeshWorkload][] => (first && more.length === 0 ? [[address, first]] : [])));
}

/**
 * Who sent a flow. A verified principal leads to the workloads that hold it and to their service; a plaintext peer only
 * to the workload with its address, which is a hint and not an identity. Anyone else is an `address`.
 * When several workloads of different services share the identity and the address does not tell them apart, the node is
 * the service account itself (`workload:<ns>/sa.<name>`): naming one of them would be a guess.
 */
export function sourceOf(flow: Pick<Flow, 'source'>, mesh: MeshState): SourceNode {
  const lookup = lookupOf(mesh);
  const { principal, ip } = flow.source;
  if (principal === null) {
    const workload = lookup.byAddress.get(ip);
    return workload ? nodeOfWorkload(lookup, workload) : addressNode(ip);
  }
  const holders = lookup.bySpiffeId.get(principal) ?? [];
  const here = holders.find((workload) => workload.address === ip) ?? (holders.length === 1 ? holders[0] : undefined);
  if (here) return nodeOfWorkload(lookup, here);
  const shared = sharedNode(holders.map((workload) => nodeOfWorkload(lookup, workload)));
  return shared ?? accountNode(lookup, principal) ?? addressNode(ip);
}

/** What a flow was sent to. A workload that a service selects is shown as that service, whatever the port. */
export function targetOf(flow: Flow, mesh: MeshState): SourceNode {
  const lookup = lookupOf(mesh);
  const { namespace, service, workload } = flow.destination;
  if (service !== null) return serviceNode(namespace, service, workload);
  // On the outbound side `workload` holds the service's name until an endpoint was chosen.
  const name = workload ?? 'unknown-destination';
  const known = lookup.workloads.get(`${namespace}/${name}`);
  if (known) return nodeOfWorkload(lookup, known);
  if (lookup.services.has(`${namespace}/${name}`)) return serviceNode(namespace, name, null);
  return { id: `workload:${namespace}/${name}`, kind: 'workload', namespace, name, workload: null };
}

/** The nodes that a service account's workloads belong to; the account's own node when it has none. */
export function nodesOfAccount(mesh: MeshState, namespace: string, account: string): SourceNode[] {
  const lookup = lookupOf(mesh);
  const nodes = (lookup.byAccount.get(`${namespace}/${account}`) ?? []).map((item) => nodeOfWorkload(lookup, item));
  const distinct = [...new Map(nodes.map((node) => [node.id, node])).values()];
  return distinct.length > 0 ? distinct : [accountNodeFor(namespace, account)];
}

/** The node that stands for a workload: its first service by name, or itself. */
export function nodeOfWorkload(lookup: MeshLookup, workload: MeshWorkload): SourceNode {
  const key = keyOf(workload);
  const service = lookup.servicesOf.get(key)?.[0];
  if (service) return serviceNode(service.namespace, service.name, workload.name);
  return { id: `workload:${key}`, kind: 'workload', namespace: workload.namespace, name: workload.name, workload: key };
}

/** `namespace/name` of anything that has both. */
export function keyOf(item: { readonly namespace: string; readonly name: string }): string {
  return `${item.namespace}/${item.name}`;
}

/** Order of code units: the same everywhere, unlike a locale's. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function serviceNode(namespace: string, name: string, workload: string | null): SourceNode {
  const id = `service:${namespace}/${name}`;
  return { id, kind: 'service', namespace, name, workload: workload === null ? null : `${namespace}/${workload}` };
}

function addressNode(ip: string): SourceNode {
  return { id: `address:${ip}`, kind: 'address', namespace: '', name: ip, workload: null };
}

function sharedNode(nodes: readonly SourceNode[]): SourceNode | null {
  const first = nodes[0];
  if (!first || nodes.some((node) => node.id !== first.id)) return null;
  return { ...first, workload: null };
}

/** An identity of our own trust domain that no single workload stands for. A foreign one stays an address. */
function accountNode(lookup: MeshLookup, principal: string): SourceNode | null {
  try {
    const id = parseSpiffeId(principal);
    if (!lookup.trustDomains.has(id.trustDomain) || id.namespace === null || id.serviceAccount === null) return null;
    return accountNodeFor(id.namespace, id.serviceAccount);
  } catch (error) {
    if (error instanceof InvalidSpiffeIdError) return null;
    throw error;
  }
}

// A workload's name holds no dot, so `sa.` cannot collide with one.
function accountNodeFor(namespace: string, account: string): SourceNode {
  return { id: `workload:${namespace}/sa.${account}`, kind: 'workload', namespace, name: account, workload: null };
}

function trustDomainOf(uri: string): string | null {
  return /^spiffe:\/\/([^/]+)\//.exec(uri)?.[1] ?? null;
}
