import type { GraphEdge, GraphNode, GraphView } from '../api/index.ts';
import { compare } from './lookup.ts';

/**
 * Keeps at most `limit` nodes and the edges between them. What needs attention stays: ends of denied, undeclared and
 * not fully protected edges first, then busy edges, then unused ones, then nodes without edges.
 */
export function limitGraph(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  limit: number,
): Pick<GraphView, 'nodes' | 'edges' | 'hidden'> {
  if (nodes.length <= limit) return { nodes: [...nodes], edges: [...edges], hidden: { nodes: 0, edges: 0 } };
  const kept = new Set<string>();
  const byConcern = [...edges].sort((a, b) => concern(a) - concern(b) || b.requests - a.requests || compare(a.source, b.source));
  for (const edge of byConcern) {
    const added = [...new Set([edge.source, edge.target])].filter((id) => !kept.has(id));
    if (kept.size + added.length <= limit) for (const id of added) kept.add(id);
  }
  for (const node of nodes) if (kept.size < limit) kept.add(node.id);
  const keptNodes = nodes.filter((node) => kept.has(node.id));
  const keptEdges = edges.filter((edge) => kept.has(edge.source) && kept.has(edge.target));
  return {
    nodes: keptNodes,
    edges: keptEdges,
    hidden: { nodes: nodes.length - keptNodes.length, edges: edges.length - keptEdges.length },
  };
}

function concern(edge: GraphEdge): number {
  if (edge.state === 'denied' || edge.state === 'undeclared') return 0;
  if (edge.mtls.plaintext > 0 || edge.mtls.unknown > 0) return 0;
  return edge.state === 'expected' ? 1 : 2;
}
