import { keyOf, lookupOf, nodesOfAccount } from './lookup.ts';
import type { MeshState } from './types.ts';

/** One edge of the expected graph by node ids; `port` is the workload's port, null when any port is meant. */
export interface DeclaredEdge {
  readonly source: string;
  readonly target: string;
  readonly port: number | null;
}

const declaredEdges = new WeakMap<MeshState, DeclaredEdges>();

/** The expected graph of a mesh, asked by node id. */
export class DeclaredEdges {
  readonly all: readonly DeclaredEdge[];
  readonly #keys: ReadonlySet<string>;
  constructor(all: readonly DeclaredEdge[]) {
    this.all = all;
    this.#keys = new Set(all.map((edge) => key(edge.source, edge.target, edge.port)));
  }
  /** True when this edge, or one to any port of the target, is declared. */
  has(source: string, target: string, port: number): boolean {
    return this.#keys.has(key(source, target, port)) || this.#keys.has(key(source, target, null));
  }
}

/** Reads every ExpectedGraph. A declared service port is translated to the workload's port, which is what flows carry. */
export function declaredOf(mesh: MeshState): DeclaredEdges {
  const known = declaredEdges.get(mesh);
  if (known) return known;
  const { services } = lookupOf(mesh);
  const all = mesh.expected.flatMap((graph) => {
    const own = graph.metadata.namespace ?? '';
    return graph.spec.edges.flatMap(({ from, to }) => {
      const target = { namespace: to.namespace ?? own, name: to.service };
      const ports = services.get(keyOf(target))?.ports ?? [];
      const port = to.port === undefined ? null : (ports.find((item) => item.port === to.port)?.targetPort ?? to.port);
      const sources = nodesOfAccount(mesh, from.namespace ?? own, from.serviceAccount);
      return sources.map((source) => ({ source: source.id, target: `service:${keyOf(target)}`, port }));
    });
  });
  const made = new DeclaredEdges(all);
  declaredEdges.set(mesh, made);
  return made;
}

function key(source: string, target: string, port: number | null): string {
  return `${source}>${target}:${port ?? '*'}`;
}
