import type { AuditEntry, Certificate, CoverageView, GraphEdge, NamespaceView } from '../api/index.ts';
import type { DenyEvent, Flow, MeshWorkload, Window } from '../mesh/index.ts';
import type { Resource } from '../resources/index.ts';

/** A workload with what protects it at the end of the window. */
export interface EvidenceWorkload extends MeshWorkload {
  /** Effective mTLS mode over all its ports. */
  readonly mode: NamespaceView['mode'];
  /** Selected by an enforced ALLOW policy, or under a default deny. */
  readonly underPolicy: boolean;
}

/** Something that is left out on purpose, with who answers for it. `expires` is ISO 8601 text or '' for never. */
export interface EvidenceException {
  readonly kind: string;
  readonly subject: string;
  readonly owner: string;
  readonly reason: string;
  readonly expires: string;
}

/** What was asked of which table to get a population. `file` is the path in the bundle that holds the answer. */
export interface EvidenceQuery {
  readonly id: string;
  readonly text: string;
  readonly source: string;
  readonly file: string;
}

/**
 * All that a bundle is made of: stored facts about one period and nothing else. The same model gives the same bytes.
 * It must hold no secret; of `config` only names, labels and spec are written.
 */
export interface EvidenceModel {
  readonly scope: { readonly trustDomain: string; readonly namespaces: readonly string[]; readonly approvedIssuers: readonly string[] };
  readonly window: Window;
  /** When the facts were read, ms since the epoch. */
  readonly generatedAt: number;
  readonly generatorVersion: string;
  /** {@link keyIdOf} of the key that will sign. */
  readonly keyId: string;
  readonly populations: {
    readonly workloads: readonly EvidenceWorkload[];
    readonly certificates: readonly Certificate[];
    readonly edges: readonly GraphEdge[];
    readonly exceptions: readonly EvidenceException[];
    readonly changes: readonly Omit<AuditEntry, 'before' | 'after'>[];
  };
  readonly observations: { readonly flows: readonly Flow[]; readonly denies: readonly DenyEvent[] };
  readonly coverage: CoverageView;
  /** The effective objects at the end of the window. */
  readonly config: readonly Resource[];
  readonly queries: readonly EvidenceQuery[];
}

/** Files by path. A renderer makes some of a bundle's files out of the model; a PDF or OSCAL one would be another. */
export type Files = Map<string, Uint8Array>;
export type Renderer = (model: EvidenceModel) => Files;
