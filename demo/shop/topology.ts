import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** One call that a workload makes. `method` and `path` are null for TCP. */
export interface Call {
  readonly to: Target;
  readonly method: string | null;
  readonly path: string | null;
  /** Share of the caller's requests that make this call, 0 to 1. */
  readonly share: number;
  readonly declared: boolean;
}
export interface Target {
  readonly namespace: string;
  readonly name: string;
}
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly calls: readonly Call[];
}
export interface ShopWorkload extends Target {
  /** Null when the workload is outside the mesh. */
  readonly proxy: string | null;
  /** Null when it only calls others. */
  readonly port: number | null;
  readonly protocol: 'http' | 'tcp';
  readonly routes: readonly Route[];
  readonly load: readonly { readonly perSecond: number; readonly call: Call }[];
}
export interface ShopProxy {
  readonly name: string;
  readonly role: 'node' | 'sidecar';
}
export interface Topology {
  readonly trustDomain: string;
  /** Number of its first node in mesh addresses. */
  readonly firstNode: number;
  /** The trust domain that it federates with. */
  readonly partner: Topology | null;
  readonly proxies: readonly ShopProxy[];
  readonly workloads: readonly ShopWorkload[];
  readonly declaredOnly: readonly { readonly from: Target; readonly to: Target }[];
}

interface RawRoute {
  on: string;
  calls?: string[];
}
interface RawWorkload {
  name: string;
  namespace: string;
  proxy?: string;
  port?: number;
  protocol?: 'http' | 'tcp';
  routes?: RawRoute[];
  load?: string[];
}
interface RawTopology {
  trustDomain: string;
  proxies: ShopProxy[];
  workloads: RawWorkload[];
  declaredOnly: string[];
  visitors?: (RawRoute & Target)[];
}

const PARTNER_NODE = 5;

/**
 * Reads `topology.yaml`: the shop alone.
 *
 * @throws Error quoting the entry that cannot be read or that names an unknown service
 */
export function loadTopology(): Topology {
  const shop = readTopology(readRaw('topology.yaml'), 1);
  checkNames(shop);
  return shop;
}

/** The shop and its partner, each with the other. @throws Error as {@link loadTopology} does */
export function loadFederation(): { readonly shop: Topology; readonly partner: Topology } {
  const [rawShop, rawPartner] = [readRaw('topology.yaml'), readRaw('partner.yaml')];
  for (const { namespace, name, on, calls } of rawPartner.visitors ?? []) {
    const workload = rawShop.workloads.find((item) => item.namespace === namespace && item.name === name);
    const route = workload?.routes?.find((item) => item.on === on);
    if (!route) throw new Error(`partner.yaml: ${namespace}/${name} has no route "${on}"`);
    route.calls = [...(route.calls ?? []), ...(calls ?? [])];
  }
  const [shop, partner] = [readTopology(rawShop, 1), readTopology(rawPartner, PARTNER_NODE)];
  Object.assign(shop, { partner });
  Object.assign(partner, { partner: shop });
  checkNames(shop);
  checkNames(partner);
  return { shop, partner };
}

function readRaw(file: string): RawTopology {
  return parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as RawTopology;
}

function readTopology(raw: RawTopology, firstNode: number): Topology {
  const workloads = raw.workloads.map(readWorkload);
  const declaredOnly = raw.declaredOnly.map((text) => {
    const [from, to] = text.split(' ');
    return { from: readTarget(from ?? '', text), to: readTarget(to ?? '', text) };
  });
  return { trustDomain: raw.trustDomain, firstNode, partner: null, proxies: raw.proxies, workloads, declaredOnly };
}

function readWorkload(raw: RawWorkload): ShopWorkload {
  return {
    name: raw.name,
    namespace: raw.namespace,
    proxy: raw.proxy ?? null,
    port: raw.port ?? null,
    protocol: raw.protocol ?? 'http',
    routes: (raw.routes ?? []).map((route) => {
      const [method, path] = route.on.split(' ');
      if (!method || !path) throw new Error(`topology.yaml: "${route.on}" must be "<METHOD> <path>"`);
      return { method, path, calls: (route.calls ?? []).map(readCall) };
    }),
    load: (raw.load ?? []).map(readLoad),
  };
}

function readCall(text: string): Call {
  const match = /^(\S+) (?:TCP|([A-Z]+) (\/\S*))(?: (\d+)%)?( undeclared)?$/.exec(text);
  if (!match) throw new Error(`topology.yaml: cannot read the call "${text}"`);
  return {
    to: readTarget(match[1] ?? '', text),
    method: match[2] ?? null,
    path: match[3] ?? null,
    share: Number(match[4] ?? 100) / 100,
    declared: match[5] === undefined,
  };
}

function readLoad(text: string): { perSecond: number; call: Call } {
  const match = /^([\d.]+)\/s (.+)$/.exec(text);
  if (!match) throw new Error(`topology.yaml: cannot read the load "${text}"`);
  return { perSecond: Number(match[1]), call: readCall(match[2] ?? '') };
}

function readTarget(text: string, whole: string): Target {
  const [namespace, name] = text.split('/');
  if (!namespace || !name) throw new Error(`topology.yaml: "${text}" in "${whole}" must be <namespace>/<service>`);
  return { namespace, name };
}

/** Every call of a workload: what its routes make and what its load makes. */
export function callsOf(workload: ShopWorkload): Call[] {
  return [...workload.routes.flatMap((route) => route.calls), ...workload.load.map((load) => load.call)];
}

/** The workload behind a target, here or at the partner's. @throws Error when there is none */
export function workloadOf(topology: Topology, target: Target): ShopWorkload {
  const known = [...topology.workloads, ...(topology.partner?.workloads ?? [])];
  const found = known.find((item) => item.name === target.name && item.namespace === target.namespace);
  if (!found) throw new Error(`topology.yaml: no workload ${target.namespace}/${target.name}`);
  return found;
}

/** The partner's workloads that this side calls or is called by. */
export function foreignWorkloads(topology: Topology): ShopWorkload[] {
  const { partner } = topology;
  if (partner === null) return [];
  const called = topology.workloads.flatMap(callsOf).map((call) => workloadOf(topology, call.to));
  const calls = (workload: ShopWorkload) => callsOf(workload).some((call) => topology.workloads.includes(workloadOf(partner, call.to)));
  return partner.workloads.filter((workload) => called.includes(workload) || calls(workload));
}

function checkNames(topology: Topology): void {
  const names = new Set(topology.partner?.workloads.map((workload) => workload.name));
  for (const workload of topology.workloads) {
    // Socket files carry the bare name.
    if (names.has(workload.name)) throw new Error(`topology.yaml: two workloads are named ${workload.name}`);
    names.add(workload.name);
    if (workload.proxy !== null && !topology.proxies.some((proxy) => proxy.name === workload.proxy)) {
      throw new Error(`topology.yaml: ${workload.name} names the unknown proxy ${workload.proxy}`);
    }
    for (const call of callsOf(workload)) {
      if (workloadOf(topology, call.to).port === null) throw new Error(`topology.yaml: ${workload.name} calls ${call.to.name}, which has no port`);
    }
  }
}
