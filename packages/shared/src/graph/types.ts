import type { CoverageView } from '../api/index.ts';
import type { CoverageInterval, Flow, MeshService, MeshWorkload, Window } from '../mesh/index.ts';
import type { ExpectedGraph } from '../resources/index.ts';

/** An enrolled proxy and when its telemetry last arrived (ms since the epoch; null if never). */
export interface ProxyFact {
  readonly name: string;
  readonly lastReport: number | null;
  readonly enrolledAt: number;
}

/** What is configured: the ground on which telemetry is read. */
export interface MeshState {
  readonly workloads: readonly MeshWorkload[];
  readonly services: readonly MeshService[];
  readonly expected: readonly ExpectedGraph[];
}

/** What {@link coverageOf} needs. Only `expectedProxies` are listed: a proxy that serves nothing owes no telemetry. */
export interface CoverageInput {
  readonly window: Window;
  readonly now: number;
  readonly proxies: readonly ProxyFact[];
  readonly intervals: readonly CoverageInterval[];
  readonly expectedProxies: readonly string[];
}

/** An edge that policy would let through, by node ids, with the policy that says so. */
export interface AllowedEdge {
  readonly source: string;
  readonly target: string;
  readonly port: number;
  readonly policy: string;
}

/** What {@link callersOf} and {@link buildGraph} are computed from. */
export interface Observed {
  readonly window: Window;
  readonly mesh: MeshState;
  readonly flows: readonly Flow[];
  readonly coverage: CoverageView;
}

export interface GraphInput extends Observed {
  readonly now: number;
  readonly allowed?: readonly AllowedEdge[] | undefined;
  /** Keeps edges with either end in this namespace. */
  readonly namespace?: string | undefined;
  /** Most nodes to return (default 400); what is left out is counted in `hidden`. */
  readonly limit?: number | undefined;
}

/** Who called, as far as configuration can say. `id` is a node id of the graph. */
export interface SourceNode {
  readonly id: string;
  readonly kind: 'service' | 'workload' | 'address';
  /** '' for an address. */
  readonly namespace: string;
  readonly name: string;
  /** `namespace/name` of the calling workload when exactly one can be meant. */
  readonly workload: string | null;
}
