import type { FlowReason } from '../mesh/index.ts';
import type { MtlsMode } from '../resources/index.ts';

/** What is to be decided: one HTTP request or one TCP connection, as the receiving proxy sees it. */
export interface PolicyRequest {
  readonly protocol: 'http' | 'tcp';
  readonly source: {
    /** SPIFFE ID of the verified peer; null for a plaintext peer. */
    readonly principal: string | null;
    /** Address of the direct peer. */
    readonly ip: string;
  };
  readonly destination: { readonly ip: string; readonly port: number };
  /** Present when, and only when, `protocol` is `http`. The path is the raw request target. */
  readonly http?: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    /** Lower-case names; every value by itself. */
    readonly headers: Readonly<Record<string, readonly string[]>>;
  };
  readonly sni?: string;
}

/** A verdict and why. */
export interface Decision {
  readonly effect: 'ALLOW' | 'DENY';
  /** HTTP status that the verdict stands for: 200, 400 (path refused) or 403. */
  readonly status: 200 | 400 | 403;
  /** Null when allowed. */
  readonly reason: FlowReason | null;
  /** `namespace/name` of the deciding policy; null when no policy had to decide. */
  readonly policy: string | null;
  /** Index of the rule that matched in the deciding policy. */
  readonly rule: number | null;
  /** One sentence for people. */
  readonly explanation: string;
  /** Verdicts of DryRun and AUDIT policies that matched: reported, never deciding. */
  readonly shadow: readonly { readonly policy: string; readonly action: 'ALLOW' | 'DENY' | 'AUDIT'; readonly rule: number }[];
  /** The path in normal form without its query, as it was matched; null for TCP or when it was refused. */
  readonly normalizedPath: string | null;
}

/** The effective mode of a port, and where it came from. */
export interface EffectiveMtls {
  readonly mode: Exclude<MtlsMode, 'UNSET'>;
  /** `namespace/name` of the PeerAuthentication that set it; null for the built-in default PERMISSIVE. */
  readonly policy: string | null;
  readonly scope: 'port' | 'workload' | 'namespace' | 'mesh' | 'default';
}
