import type { Caller, CallersView } from '../api/index.ts';
import type { Flow, MeshService } from '../mesh/index.ts';
import { iso, windowViewOf } from './coverage.ts';
import { declaredOf } from './declared.ts';
import { compare, keyOf, lookupOf, sourceOf, targetOf } from './lookup.ts';
import { isFailedHandshake } from './tally.ts';
import type { MeshState, Observed } from './types.ts';

/** Most kinds of caller that are listed; the least frequent are left out. */
const MAX_CALLERS = 1000;

/**
 * Who really called a service in the window, and how: from the receiver's counts alone.
 *
 * @returns `ports` are the workload's ports, which is what policies match on. `selector` holds the labels that all
 *   workloads of the service share, so it selects them all, perhaps more. An unknown service has neither, and no callers.
 */
export function callersOf(input: Observed & { readonly namespace: string; readonly service: string }): CallersView {
  const name = { namespace: input.namespace, name: input.service };
  const service = lookupOf(input.mesh).services.get(keyOf(name)) ?? { ...name, ports: [], workloads: [] };
  const callers = new Map<string, Caller>();
  for (const flow of input.flows) {
    if (flow.side === 'inbound' && !isFailedHandshake(flow) && isFor(flow, service)) addCaller(callers, flow, input.mesh);
  }
  const ports = new Map(service.ports.map((item) => [item.targetPort, { port: item.targetPort, protocol: item.protocol }]));
  return {
    namespace: input.namespace,
    service: input.service,
    selector: sharedLabels(input.mesh, service),
    ports: [...ports.values()],
    window: windowViewOf(input.window),
    coverage: input.coverage,
    callers: [...callers.entries()]
      .sort(([a, x], [b, y]) => y.requests - x.requests || compare(a, b))
      .slice(0, MAX_CALLERS)
      .map(([, caller]) => caller),
  };
}

function isFor(flow: Flow, service: MeshService): boolean {
  const { destination } = flow;
  if (destination.namespace !== service.namespace) return false;
  if (destination.service === service.name) return true;
  return destination.workload !== null && service.workloads.includes(destination.workload);
}

function addCaller(callers: Map<string, Caller>, flow: Flow, mesh: MeshState): void {
  const mtls = flow.reason === 'plaintext-refused' ? 'plaintext' : flow.mtls;
  const { source, destination, protocol, method, path } = flow;
  const key = JSON.stringify([source.principal, source.ip, destination.port, protocol, method, path, mtls]);
  const known = callers.get(key);
  const requests = (known?.requests ?? 0) + flow.count;
  const denied = (known?.denied ?? 0) + (flow.verdict === 'denied' || flow.reason === 'plaintext-refused' ? flow.count : 0);
  const from = sourceOf(flow, mesh);
  const lastSeen = iso(flow.lastSeen);
  callers.set(key, {
    principal: source.principal,
    ip: source.ip,
    workload: from.workload,
    port: destination.port,
    protocol,
    method,
    path,
    mtls,
    requests,
    denied,
    lastSeen: known && known.lastSeen > lastSeen ? known.lastSeen : lastSeen,
    declared: declaredOf(mesh).has(from.id, targetOf(flow, mesh).id, destination.port),
  });
}

function sharedLabels(mesh: MeshState, service: MeshService): Record<string, string> {
  const { workloads } = lookupOf(mesh);
  const [first, ...rest] = service.workloads.flatMap((name) => {
    const workload = workloads.get(`${service.namespace}/${name}`);
    return workload ? [workload.labels] : [];
  });
  const shared = Object.entries(first ?? {}).filter(([key, value]) => rest.every((labels) => labels[key] === value));
  return Object.fromEntries(shared.sort(([a], [b]) => compare(a, b)));
}
