import type { DeniesView, GraphEdge, GraphView } from '@sallyport/shared/api';
import { edgeId, nodeName } from './model.ts';

type Deny = DeniesView['items'][number];

/** Refusals of one kind on one edge. */
export interface Refusal {
  readonly reason: string;
  readonly count: number;
}

/**
 * The single refusals that proxies reported, arranged by the edge they belong to, most frequent reason first. An edge's
 * own counts say how many there were; only these say why.
 */
export function refusalsOf(view: GraphView, items: readonly Deny[]): ReadonlyMap<string, readonly Refusal[]> {
  const found = new Map<string, Map<string, number>>();
  for (const edge of view.edges) {
    if (!hasRefusals(edge)) continue;
    const reasons = new Map<string, number>();
    for (const item of items) if (belongsTo(item, edge, view)) reasons.set(item.reason, (reasons.get(item.reason) ?? 0) + 1);
    if (reasons.size > 0) found.set(edgeId(edge), reasons);
  }
  return new Map([...found].map(([id, reasons]) => [id, [...reasons].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count)]));
}

/** True when something on the edge was denied or failed, so that reasons for it may be known. */
export function hasRefusals(edge: Pick<GraphEdge, 'denied' | 'failed'>): boolean {
  return edge.denied > 0 || edge.failed > 0;
}

function belongsTo(item: Deny, edge: GraphEdge, view: GraphView): boolean {
  return item.destination.port === edge.port && isTarget(item, edge.target, view) && isSource(item, edge.source, view);
}

function isTarget({ destination: { namespace, workload, service } }: Deny, id: string, view: GraphView): boolean {
  if (service !== null) return id === `service:${namespace}/${service}`;
  return holdsWorkload(id, `${namespace}/${workload}`, view);
}

/** By the workload that the operator found for the caller, else by its address or the identity that several share. */
function isSource({ source }: Deny, id: string, view: GraphView): boolean {
  if (source.workload !== null) return holdsWorkload(id, source.workload, view);
  if (id.startsWith('address:')) return nodeName(id) === source.ip;
  return source.principal !== null && view.nodes.find((node) => node.id === id)?.spiffeId === source.principal;
}

function holdsWorkload(id: string, workload: string, view: GraphView): boolean {
  const node = view.nodes.find((each) => each.id === id);
  return id === `workload:${workload}` || (node?.workloads.some((name) => `${node.namespace}/${name}` === workload) ?? false);
}
