import { compare, FRESH_MS, type ProxyFact } from '../../graph/index.ts';
import type { MeshWorkload } from '../../mesh/index.ts';
import type { DetectedSignal, SignalInput } from '../types.ts';

/**
 * Telemetry lost: a proxy that serves workloads has not reported for 15 s. Critical, because from then on nothing that
 * is shown about its workloads is known. A proxy that serves nothing owes no telemetry.
 */
export function telemetryLost(input: SignalInput): DetectedSignal[] {
  const facts = new Map(input.proxies.map((proxy) => [proxy.name, proxy]));
  const served = Map.groupBy(input.mesh.workloads.filter((workload) => workload.proxy !== null), (workload) => workload.proxy ?? '');
  return [...served].sort(([a], [b]) => compare(a, b)).flatMap(([name, workloads]) => signalOf(input.now, name, facts.get(name), workloads));
}

function signalOf(now: number, name: string, fact: ProxyFact | undefined, workloads: readonly MeshWorkload[]): DetectedSignal[] {
  const last = fact?.lastReport ?? fact?.enrolledAt ?? null;
  if (last !== null && now - last <= FRESH_MS) return [];
  const since = fact?.lastReport ? `no data since ${new Date(fact.lastReport).toISOString()}` : 'it has never reported';
  const namespaces = new Set(workloads.map((workload) => workload.namespace));
  return [
    {
      key: `telemetry-lost:${name}`,
      kind: 'telemetry-lost',
      severity: 'critical',
      title: `Proxy ${name} is silent`,
      detail: `Proxy ${name}: ${since}. Nothing is known about its ${workloads.length} workloads.`,
      subject: name,
      namespace: namespaces.size === 1 ? ([...namespaces][0] ?? null) : null,
      count: workloads.length,
      at: now,
      techniques: ['T1562'],
      link: `/proxies?proxy=${encodeURIComponent(name)}`,
    },
  ];
}
