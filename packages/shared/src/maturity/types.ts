import type { CoverageView, Criterion, NamespaceView, Stage } from '../api/index.ts';

export interface MaturityWorkload {
  readonly name: string;
  readonly proxy: string | null;
  readonly live: boolean;
  readonly serviceAccount: string;
  /** Selected by an enforced ALLOW policy, or under a default deny. */
  readonly hasPolicy: boolean;
}

/** What is known about a namespace. `null` says "not known", which is never the same as "no" or "none". */
export interface MaturityInput {
  readonly namespace: string;
  readonly mode: NamespaceView['mode'];
  readonly workloads: readonly MaturityWorkload[];
  /** Calls of the window by protection. */
  readonly calls: { readonly mutual: number; readonly plaintext: number; readonly unknown: number };
  /** Restricted to the proxies that serve the namespace. */
  readonly coverage: CoverageView;
  readonly certificates: { readonly total: number; readonly overdue: number; readonly expired: number };
  readonly undeclaredEdges: number;
  readonly declaredEdges: number;
  readonly unusedGrants: number | null;
  readonly egressDeclared: boolean | null;
  readonly jwt: boolean | null;
  readonly federation: boolean | null;
  readonly gitOps: boolean | null;
  /** When an evidence bundle last verified, ms since the epoch. */
  readonly evidenceVerifiedAt: number | null;
  /** Needed to judge the age of `evidenceVerifiedAt`, ms since the epoch. */
  readonly now?: number | undefined;
  /** Days without plaintext, gap or critical signal. */
  readonly cleanDays: number | null;
  readonly openCriticalSignals: number;
}

/** What an assessment found. */
export interface Finding {
  readonly outcome: Criterion['outcome'];
  readonly finding: string;
  readonly failing?: readonly string[];
}

/** One row of the table of criteria. */
export interface CriterionRule {
  readonly id: string;
  readonly stage: Stage;
  readonly title: string;
  /** What to do when it is not met. */
  readonly remedy: string;
  /** Console path of the page that shows what fails. */
  readonly link: (namespace: string) => string;
  readonly assess: (input: MaturityInput) => Finding;
}
