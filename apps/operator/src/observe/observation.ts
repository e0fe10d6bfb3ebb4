import { coverageOf, type MeshState, type ProxyFact } from '@sallyport/shared/graph';
import type { CoverageView } from '@sallyport/shared/api';
import type { CoverageInterval, Flow, Window } from '@sallyport/shared/mesh';
import type { Mesh } from '@sallyport/shared/resources';
import { readFlows } from '../history/flows.ts';
import { readCoverage, readProxies } from '../history/proxies.ts';
import type { ResourceCache } from '../store/cache.ts';
import type { Database } from '../store/postgres/client.ts';
import { meshOf, meshState } from './mesh-state.ts';

/** Where observations come from. */
export interface Sources {
  readonly database: Database;
  readonly cache: ResourceCache;
  readonly trustDomain: string;
  readonly now: () => number;
}

/** All that was seen in a window, against what is configured now. */
export interface Observation {
  readonly window: Window;
  readonly now: number;
  readonly mesh: MeshState;
  readonly meshResource: Mesh;
  readonly flows: readonly Flow[];
  readonly proxies: readonly ProxyFact[];
  readonly coverage: CoverageView;
  /** Coverage by the proxies that serve one namespace. */
  readonly coverageOf: (namespace: string) => CoverageView;
}

/** Reads a window that ends now, to show what is going on: a proxy owes telemetry since it was enrolled. */
export async function observe(sources: Sources, windowMs: number): Promise<Observation> {
  const now = sources.now();
  return observeWindow(sources, { from: now - windowMs, to: now }, 'since-enrolment');
}

/**
 * Reads any window. `proof` asks for coverage of the whole of it: before a proxy was enrolled nobody looked, and a
 * window that nobody looked at proves nothing. The gate and evidence need that.
 */
export async function observeWindow(sources: Sources, window: Window, owed: 'since-enrolment' | 'proof'): Promise<Observation> {
  const now = sources.now();
  const [flows, intervals, rows] = await Promise.all([
    readFlows(sources.database, window),
    readCoverage(sources.database, window),
    readProxies(sources.database),
  ]);
  const mesh = meshState(sources.cache, sources.trustDomain);
  const proxies = rows.map((row) => ({ name: row.name, lastReport: row.lastReport?.getTime() ?? null, enrolledAt: row.enrolledAt.getTime() }));
  const owing = owed === 'proof' ? proxies.map((proxy) => ({ ...proxy, enrolledAt: window.from })) : proxies;
  const cover = coverageReader({ window, now, proxies: owing, intervals, mesh });
  return {
    window, now, mesh, flows, proxies,
    meshResource: meshOf(sources.cache, sources.trustDomain),
    coverage: cover(() => true),
    coverageOf: (namespace) => cover((candidate) => candidate === namespace),
  };
}

function coverageReader(input: { window: Window; now: number; proxies: readonly ProxyFact[]; intervals: readonly CoverageInterval[]; mesh: MeshState }) {
  return (inScope: (namespace: string) => boolean): CoverageView => {
    const serving = input.mesh.workloads.filter((workload) => inScope(workload.namespace)).flatMap((workload) => (workload.proxy === null ? [] : [workload.proxy]));
    return coverageOf({ ...input, expectedProxies: [...new Set(serving)].sort() });
  };
}

/** Names of all namespaces that hold a workload or a service. */
export function namespacesOf(mesh: MeshState): string[] {
  return [...new Set([...mesh.workloads, ...mesh.services].map((item) => item.namespace))].sort();
}
