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
  readonly proxies: readonly ShopProxy[];
  readonly workloads: readonly ShopWorkload[];
  readonly declaredOnly: readonly { readonly from: Target; readonly to: Target }[];
}

interface RawWorkload {
  name: string;
  namespace: string;
  proxy?: string;
  port?: number;
  protocol?: 'http' | 'tcp';
  routes?: { on: string; calls?: string[] }[];
  load?: string[];
}
interface RawTopology {
  trustDomain: string;
  proxies: ShopProxy[];
  workloads: RawWorkload[];
  declaredOnly: string[];
}


/**
 * Reads `topology.yaml`.
 *
 * @throws Error quoting the entry that cannot be read or that names an unknown service
 */
export function loadTopology(): Topology {
  const raw = parse(readFileSync(new URL('topology.yaml', import.meta.url), 'utf8')) as RawTopology;
  const workloads = raw.workloads.map(readWorkload);
  const declaredOnly = raw.declaredOnly.map((text) => {
    const [from, to] = text.split(' ');
    return { from: readTarget(from ?? '', text), to: readTarget(to ?? '', text) };
  });
  const topology = { trustDomain: raw.trustDomain, proxies: raw.proxies, workloads, declaredOnly };
  checkNames(topology);
  return topology;
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

/** The workload behind a target. @throws Error when the topology has none */
export function workloadOf(topology: Topology, target: Target): ShopWorkload {
  const found = topology.workloads.find((item) => item.name === target.name && item.namespace === target.namespace);
  if (!found) throw new Error(`topology.yaml: no workload ${target.namespace}/${target.name}`);
  return found;
}

function checkNames(topology: Topology): void {
  const names = new Set<string>();
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
