import type { OverviewView, ProxiesView } from '@sallyport/shared/api';
import { buildGraph, FRESH_MS, type MeshState, windowViewOf } from '@sallyport/shared/graph';
import { ownWorkloads } from '@sallyport/shared/mesh';
import { readProxies } from '../../history/proxies.ts';
import { openSignals } from '../../history/signals.ts';
import type { PushHub } from '../../push/hub.ts';
import { namespacesOf, observe, type Sources } from '../observation.ts';
import { certificateItems, pastHalfRotationInterval } from './certificates.ts';
import { namespacesView } from './namespaces.ts';
import type { StrictSources } from './strict.ts';

/** What the first page shows. */
export async function overviewView(sources: StrictSources, windowMs: number): Promise<OverviewView> {
  const [observation, certificates, signals, namespaces] = await Promise.all([
    observe(sources, windowMs),
    certificateItems(sources),
    openSignals(sources.database),
    namespacesView(sources, windowMs),
  ]);
  const { mesh, flows, window, now, coverage } = observation;
  const graph = buildGraph({ window, now, mesh, flows, coverage });
  const inState = (state: string) => graph.edges.filter((edge) => edge.state === state).length;
  const total = (read: (edge: (typeof graph.edges)[number]) => number) => graph.edges.reduce((sum, edge) => sum + read(edge), 0);
  return {
    window: windowViewOf(window),
    coverage,
    trustDomain: sources.trustDomain,
    counts: countsOf(mesh, sources),
    calls: {
      requests: total((edge) => edge.requests),
      denied: total((edge) => edge.denied),
      mutual: total((edge) => edge.mtls.mutual),
      plaintext: total((edge) => edge.mtls.plaintext),
      unknown: total((edge) => edge.mtls.unknown),
    },
    edges: { expected: inState('expected'), undeclared: inState('undeclared'), denied: inState('denied'), unused: inState('unused') },
    openSignals: signals,
    stages: namespaces.items.map((item) => ({ namespace: item.name, stage: item.stage })),
    certificates: {
      total: certificates.length,
      overdue: certificates.filter((item) => item.state === 'overdue').length,
      expired: certificates.filter((item) => item.state === 'expired').length,
      pastHalfRotationInterval: pastHalfRotationInterval(certificates),
    },
  };
}

/** Every enrolled proxy: connected, heard from, and how far its configuration is. */
export async function proxiesView(sources: Sources, hub: PushHub): Promise<ProxiesView> {
  const rows = await readProxies(sources.database);
  const now = sources.now();
  const items = rows.map((row) => {
    const push = hub.state(row.name);
    return {
      name: row.name,
      role: row.role as 'node' | 'sidecar',
      connected: push.connected,
      lastReport: row.lastReport?.toISOString() ?? null,
      live: row.lastReport !== null && now - row.lastReport.getTime() <= FRESH_MS,
      configVersion: push.version ?? row.configVersion,
      configAgeSeconds: row.configAgeSeconds,
      lastAck: push.lastAck === null ? null : new Date(push.lastAck).toISOString(),
      nack: push.nack,
      workloads: sources.cache.all('Workload').filter((workload) => workload.spec.proxy === row.name).length,
      enrolledAt: row.enrolledAt.toISOString(),
    };
  });
  return { items, revision: sources.cache.revision };
}

function countsOf(mesh: MeshState, sources: Sources): OverviewView['counts'] {
  const own = ownWorkloads(mesh.workloads);
  return {
    namespaces: namespacesOf(mesh).length,
    services: mesh.services.length,
    workloads: own.length,
    meshed: own.filter((workload) => workload.proxy !== null).length,
    policies: sources.cache.all('AuthorizationPolicy').length,
  };
}
