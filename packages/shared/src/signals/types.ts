import type { SignalView } from '../api/index.ts';
import type { MeshState, ProxyFact } from '../graph/index.ts';
import type { DenyEvent, Flow } from '../mesh/index.ts';
import type { MtlsMode } from '../resources/index.ts';

/** The effective mode of a workload's port and since when (ms) it has been so. */
export interface EffectiveModeSince {
  readonly mode: Exclude<MtlsMode, 'UNSET'>;
  readonly since: number;
}

/** An SVID that a proxy says it holds, or that was issued to it. Times in ms since the epoch. */
export interface SvidFact {
  readonly spiffeId: string;
  readonly proxy: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A write that relaxed mTLS or authorization, taken from the audit log. */
export interface Weakening {
  readonly at: number;
  readonly actor: string;
  readonly resource: string;
  readonly detail: string;
}

/** All that the rules look at. Nothing is fetched: what is not given cannot raise a signal. */
export interface SignalInput {
  readonly now: number;
  readonly mesh: MeshState;
  /** Aggregated flows of at most the last 24 h. */
  readonly flows: readonly Flow[];
  /** Deny events of the last 15 min. */
  readonly denies: readonly DenyEvent[];
  readonly modes: (namespace: string, workload: string, port: number) => EffectiveModeSince | null;
  readonly proxies: readonly ProxyFact[];
  readonly svids: readonly SvidFact[];
  readonly weakenings: readonly Weakening[];
  /** When each edge (see `edgeIdentity` of the graph room) was first seen, ever; ms since the epoch. */
  readonly firstSeen: Pick<ReadonlyMap<string, number>, 'get'>;
}

/** A signal that holds now. `key` is the same as long as it is about the same thing, so that it is opened once. */
export interface DetectedSignal {
  readonly key: string;
  readonly kind: SignalView['kind'];
  readonly severity: SignalView['severity'];
  readonly title: string;
  readonly detail: string;
  readonly subject: string;
  readonly namespace: string | null;
  readonly count: number;
  /** When it was last seen to hold, ms since the epoch. */
  readonly at: number;
  /** Candidate techniques of MITRE ATT&CK: a pointer, not an attribution. */
  readonly techniques: readonly string[];
  /** Console path that shows the matter. */
  readonly link: string;
}

/** One detection rule. Pure: the same input gives the same signals. */
export type SignalRule = (input: SignalInput) => DetectedSignal[];
