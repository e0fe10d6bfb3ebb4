import type { ElementDefinition } from 'cytoscape';
import type { GraphView } from '@sallyport/shared/api';
import { clock } from '../../lib/format.ts';
import { edgeId, edgeLabel, isFailed, isLocked, nodeCondition } from './model.ts';

/** The graph as elements to draw: a box for each namespace, its nodes inside, and all edges. */
export function elementsOf(view: GraphView, now: number): ElementDefinition[] {
  const namespaces = [...new Set(view.nodes.map((node) => node.namespace).filter((name) => name !== ''))];
  const boxes = namespaces.map((name) => ({ data: { id: boxId(name), label: name } }));
  const known = new Set(view.nodes.map((node) => node.id));
  const nodes = view.nodes.map((node) => {
    const condition = nodeCondition(node, view.coverage);
    const label = [node.name, ...remark(condition, now)].join('\n');
    const longest = Math.max(...label.split('\n').map((line) => line.length));
    return {
      data: {
        id: node.id, label, kind: node.kind, condition: condition.kind, width: Math.max(64, longest * 8 + 20), height: 14 + 18 * label.split('\n').length,
        ...(node.namespace === '' ? {} : { parent: boxId(node.namespace) }),
      },
    };
  });
  const edges = view.edges
    .filter((edge) => known.has(edge.source) && known.has(edge.target))
    .map((edge) => ({
      data: {
        id: edgeId(edge), source: edge.source, target: edge.target, label: edgeLabel(edge), state: edge.state, failed: isFailed(edge), stale: edge.stale, locked: isLocked(edge),
      },
    }));
  return [...boxes, ...nodes, ...edges];
}

function boxId(namespace: string): string {
  return `namespace:${namespace}`;
}

function remark(condition: ReturnType<typeof nodeCondition>, now: number): string[] {
  if (condition.kind === 'outside') return ['outside the mesh'];
  if (condition.kind === 'foreign') return [condition.trustDomain];
  if (condition.kind !== 'silent') return [];
  return [condition.since === null ? 'no data ever' : `no data since ${clock(condition.since, now)}`];
}
