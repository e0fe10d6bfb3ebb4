import { declaredOf, edgeIdentity, sourceOf, targetOf } from '../../graph/index.ts';
import type { Flow } from '../../mesh/index.ts';
import type { DetectedSignal, SignalInput } from '../types.ts';

const NEW_FOR = 10 * 60_000;
const LEAST = 3;

/**
 * New edge (audit-evidence.md §4): an edge that nobody declared was seen for the first time ever less than 10 minutes
 * ago and carried at least 3 calls. Only the receiver's counts are used. An edge of refusals alone is information.
 */
export function newEdge(input: SignalInput): DetectedSignal[] {
  const declared = declaredOf(input.mesh);
  const inbound = input.flows.filter((flow) => flow.side === 'inbound');
  return [...Map.groupBy(inbound, edgeIdentity)].flatMap(([key, flows]) => {
    const first = flows[0];
    const since = input.firstSeen.get(key);
    if (!first || since === undefined || input.now - since >= NEW_FOR) return [];
    const source = sourceOf(first, input.mesh);
    const target = targetOf(first, input.mesh);
    const count = flows.reduce((sum, flow) => sum + flow.count, 0);
    if (count < LEAST || declared.has(source.id, target.id, first.destination.port)) return [];
    return [signalOf(key, flows, first, count, { source: source.id, target: target.id })];
  });
}

function signalOf(
  key: string,
  flows: readonly Flow[],
  first: Flow,
  count: number,
  ends: { readonly source: string; readonly target: string },
): DetectedSignal {
  const passed = flows.some((flow) => flow.verdict === 'allowed');
  const { namespace, service, workload, port } = first.destination;
  const subject = first.source.principal ?? first.source.ip;
  const destination = `${namespace}/${service ?? workload ?? '?'}:${port}`;
  // As the graph names its edges: HTTP as soon as one call was.
  const protocol = flows.some((flow) => flow.protocol === 'http') ? 'http' : 'tcp';
  return {
    key: `new-edge:${key}`,
    kind: 'new-edge',
    severity: passed ? 'warning' : 'info',
    title: `New undeclared call to ${destination}`,
    detail: `${subject} called ${destination} for the first time, ${count} times; ${passed ? 'it was let through' : 'all was refused'}. No ExpectedGraph declares it.`,
    subject,
    namespace,
    count,
    at: flows.reduce((latest, flow) => Math.max(latest, flow.lastSeen), 0),
    techniques: techniquesOf(first),
    link: `/graph?edge=${encodeURIComponent(`${ends.source}>${ends.target}:${port}/${protocol}`)}`,
  };
}

/**
 * A caller with an identity may be using a stolen or misused one (application access token). A caller without one has
 * used no credential, and one new edge is neither a scan nor an exploit: no technique is named rather than a wrong one.
 */
function techniquesOf(flow: Flow): readonly string[] {
  return flow.source.principal === null ? [] : ['T1550.001'];
}
