import type { GraphEdge, GraphView } from '../api/index.ts';
import { decidedAs, type Flow } from '../mesh/index.ts';
import { iso, windowViewOf } from './coverage.ts';
import { declaredOf } from './declared.ts';
import { limitGraph } from './limit.ts';
import { compare, keyOf, lookupOf, nodesOfAccount, sourceOf, targetOf } from './lookup.ts';
import { NodeTable } from './nodes.ts';
import { EdgeTally } from './tally.ts';
import type { GraphInput, SourceNode } from './types.ts';

const DEFAULT_LIMIT = 400;

/**
 * The graph of who called whom in a window, laid over what was declared.
 *
 * The receiver's (inbound) counts are the calls; the caller's are used only to say how many calls nobody received a
 * report of (`mtls.unknown`), and only where the receiver's telemetry has a gap, because otherwise the difference is
 * calls in flight. Refused plaintext is counted as denied and as plaintext; a handshake that failed is no call and
 * counted as failed alone. An edge that nobody used and an edge whose receiver was silent look alike, so the latter is
 * `stale`.
 *
 * @returns nodes and edges in a fixed order; `hidden` says what the limit left out
 */
export function buildGraph(input: GraphInput): GraphView {
  const nodes = new NodeTable(input.mesh, input.coverage);
  const tallies = tallyFlows(input, nodes);
  const seen = [...tallies.values()].map((tally) => seenEdge(tally, input, nodes));
  const inNamespace = (id: string) => nodes.get(id)?.namespace === input.namespace;
  const edges = [...seen, ...unusedEdges(input, nodes, tallies)]
    .filter((edge) => input.namespace === undefined || inNamespace(edge.source) || inNamespace(edge.target))
    .sort((a, b) => compare(a.source, b.source) || compare(a.target, b.target) || a.port - b.port);
  const used = new Set(edges.flatMap((edge) => [edge.source, edge.target]));
  const kept = nodes.all().filter((node) => input.namespace === undefined || inNamespace(node.id) || used.has(node.id));
  return {
    window: windowViewOf(input.window),
    coverage: input.coverage,
    ...limitGraph(kept, edges, input.limit ?? DEFAULT_LIMIT),
  };
}

function tallyFlows(input: GraphInput, nodes: NodeTable): Map<string, EdgeTally> {
  const tallies = new Map<string, EdgeTally>();
  for (const flow of input.flows) {
    const source = sourceOf(flow, input.mesh);
    const target = targetOf(flow, input.mesh);
    nodes.add(source, flow.source.principal);
    nodes.add(target, null);
    const key = edgeKey(source.id, target.id, flow.destination.port);
    let tally = tallies.get(key);
    if (!tally) {
      tally = new EdgeTally(source.id, target.id, flow.destination.port);
      tallies.set(key, tally);
    }
    tally.add(flow, nodes.isForeign(target.id));
  }
  return tallies;
}

/**
 * An edge is `denied` when nothing got through. Not every one of them was denied by somebody (`denied` is 0 where all
 * failed), but none may be drift: that is about calls, and a stranger who is not let in must not be able to cause it.
 */
function seenEdge(tally: EdgeTally, input: GraphInput, nodes: NodeTable): GraphEdge {
  const receiver = nodes.receiver(tally.target);
  tally.addUnreceived(receiver);
  const declared = declaredOf(input.mesh).has(tally.source, tally.target, tally.port);
  return {
    source: tally.source,
    target: tally.target,
    port: tally.port,
    protocol: tally.protocol,
    state: tally.passed <= 0 ? 'denied' : declared ? 'expected' : 'undeclared',
    declared,
    requests: tally.requests,
    denied: tally.denied,
    failed: tally.failed,
    mtls: { ...tally.mtls },
    reporters: [...tally.reporters].sort(compare),
    lastSeen: iso(tally.lastSeen),
    stale: receiver.stale,
    methods: tally.methods(),
    policies: [...tally.policies].sort(compare),
  };
}

/** Declared or allowed edges that no flow used. */
function unusedEdges(input: GraphInput, nodes: NodeTable, tallies: ReadonlyMap<string, EdgeTally>): GraphEdge[] {
  const used = new Set([...tallies.values()].map((tally) => `${tally.source}>${tally.target}`));
  const found = new Map<string, GraphEdge>();
  const offer = (source: string, target: string, port: number, declared: boolean, policy: string | null) => {
    const key = edgeKey(source, target, port);
    if (tallies.has(key)) return;
    const edge = found.get(key) ?? unusedEdge(input, source, target, port, nodes.receiver(target).stale);
    edge.declared ||= declared;
    if (policy !== null && !edge.policies.includes(policy)) edge.policies = [...edge.policies, policy].sort(compare);
    found.set(key, edge);
  };
  addDeclaredNodes(input, nodes);
  for (const edge of declaredOf(input.mesh).all) {
    // Declared for any port: one port in use is enough.
    if (edge.port === null && used.has(`${edge.source}>${edge.target}`)) continue;
    offer(edge.source, edge.target, edge.port ?? firstPort(input, edge.target), true, null);
  }
  for (const edge of input.allowed ?? []) {
    if (nodes.get(edge.source) && nodes.get(edge.target)) offer(edge.source, edge.target, edge.port, false, edge.policy);
  }
  return [...found.values()];
}

function unusedEdge(input: GraphInput, source: string, target: string, port: number, stale: boolean): GraphEdge {
  const service = lookupOf(input.mesh).services.get(target.replace(/^service:/, ''));
  return {
    source,
    target,
    port,
    protocol: decidedAs(service?.ports.find((item) => item.targetPort === port)?.protocol ?? 'http')[0],
    state: 'unused',
    declared: false,
    requests: 0,
    denied: 0,
    failed: 0,
    mtls: { mutual: 0, plaintext: 0, unknown: 0 },
    reporters: [],
    lastSeen: null,
    stale,
    methods: [],
    policies: [],
  };
}

/** A declaration may name an account without workloads or a service that does not exist (yet): both must be visible. */
function addDeclaredNodes(input: GraphInput, nodes: NodeTable): void {
  for (const graph of input.mesh.expected) {
    const own = graph.metadata.namespace ?? '';
    for (const { from, to } of graph.spec.edges) {
      const sources = nodesOfAccount(input.mesh, from.namespace ?? own, from.serviceAccount);
      const target = { namespace: to.namespace ?? own, name: to.service };
      const service: SourceNode = { id: `service:${keyOf(target)}`, kind: 'service', ...target, workload: null };
      for (const node of [...sources, service]) nodes.add(node, null);
    }
  }
}

function firstPort(input: GraphInput, target: string): number {
  return lookupOf(input.mesh).services.get(target.replace(/^service:/, ''))?.ports[0]?.targetPort ?? 0;
}

function edgeKey(source: string, target: string, port: number): string {
  return `${source}>${target}:${port}`;
}

/**
 * Identity of an edge as it is remembered over time: who (SPIFFE ID, or address of a plaintext peer) called which
 * service (or workload) on which port. Independent of the workloads that happen to exist now.
 */
export function edgeIdentity(flow: Flow): string {
  const { namespace, service, workload, port } = flow.destination;
  return `${flow.source.principal ?? flow.source.ip}>${namespace}/${service ?? workload ?? ''}:${port}`;
}
