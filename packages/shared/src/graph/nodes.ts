import type { CoverageView, GraphNode } from '../api/index.ts';
import type { MeshWorkload } from '../mesh/index.ts';
import { compare, keyOf, lookupOf, nodeOfWorkload } from './lookup.ts';
import type { MeshState, SourceNode } from './types.ts';

/** Makes the graph's nodes out of ids, with what is configured and reported about each. */
export class NodeTable {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #mesh: MeshState;
  readonly #coverage: ReadonlyMap<string, CoverageView['proxies'][number]>;

  constructor(mesh: MeshState, coverage: CoverageView) {
    this.#mesh = mesh;
    this.#coverage = new Map(coverage.proxies.map((proxy) => [proxy.name, proxy]));
    const lookup = lookupOf(mesh);
    for (const { namespace, name } of mesh.services) {
      this.add({ id: `service:${namespace}/${name}`, kind: 'service', namespace, name, workload: null }, null);
    }
    for (const workload of mesh.workloads) {
      const node = nodeOfWorkload(lookup, workload);
      if (node.kind === 'workload') this.add(node, null);
    }
  }

  /** Adds a node that a flow or declaration names; `principal` is its identity when configuration knows none. */
  add(node: SourceNode, principal: string | null): void {
    if (this.#nodes.has(node.id)) return;
    const workloads = this.#workloadsOf(node);
    const identities = new Set(workloads.map((workload) => workload.spiffeId));
    const proxies = [...new Set(workloads.flatMap((workload) => workload.proxy ?? []))].sort(compare);
    this.#nodes.set(node.id, {
      id: node.id,
      kind: node.kind,
      namespace: node.namespace,
      name: node.name,
      spiffeId: identities.size === 1 ? ([...identities][0] ?? null) : workloads.length === 0 ? principal : null,
      trustDomain: foreignOf(workloads),
      meshed: workloads.length > 0 && workloads.every((workload) => workload.proxy !== null),
      proxies: proxies.map((name) => ({ name, live: this.#coverage.get(name)?.live ?? false })),
      workloads: workloads.map((workload) => workload.name).sort(compare),
    });
  }

  /** Whether the proxies that serve a node told all they saw: none at all, or one with a gap, did not. */
  receiver(id: string): { meshed: boolean; complete: boolean; stale: boolean } {
    const node = this.#nodes.get(id);
    if (this.isForeign(id)) return { meshed: false, complete: false, stale: !this.#allComplete() };
    const serving = (node?.proxies ?? []).map((proxy) => this.#coverage.get(proxy.name));
    const whole = serving.length > 0 && serving.every((proxy) => proxy?.gaps.length === 0 && proxy.share === 1);
    const live = serving.every((proxy) => proxy?.live === true);
    const complete = whole && node?.meshed === true;
    return { meshed: node?.meshed === true, complete, stale: !complete || !live };
  }

  /** Whether a node is of a federated trust domain. */
  isForeign(id: string): boolean {
    return this.#nodes.get(id)?.trustDomain != null;
  }

  /** Any of our proxies may be the one that calls abroad. */
  #allComplete(): boolean {
    return [...this.#coverage.values()].every((proxy) => proxy.live && proxy.share === 1 && proxy.gaps.length === 0);
  }

  get(id: string): GraphNode | undefined {
    return this.#nodes.get(id);
  }

  all(): GraphNode[] {
    return [...this.#nodes.values()].sort((a, b) => compare(a.id, b.id));
  }

  #workloadsOf(node: SourceNode): MeshWorkload[] {
    const { services, workloads } = lookupOf(this.#mesh);
    const names = node.kind === 'service' ? (services.get(keyOf(node))?.workloads ?? []) : [];
    const own = node.kind === 'workload' && node.workload !== null ? [node.name] : [];
    return [...names, ...own].flatMap((name) => workloads.get(`${node.namespace}/${name}`) ?? []);
  }
}

/** The one trust domain that all of them belong to when it is not ours. */
function foreignOf(workloads: readonly MeshWorkload[]): string | null {
  const domains = new Set(workloads.map((workload) => workload.foreign));
  return domains.size === 1 ? ([...domains][0] ?? null) : null;
}
