/** How a connection was protected, as its receiver saw it. `unknown` means that nobody who could know reported it. */
export type MtlsState = 'mutual' | 'plaintext' | 'unknown';

/** What became of a call. `failed` never reached the application (connection refused, timeout, bad handshake). */
export type FlowVerdict = 'allowed' | 'denied' | 'failed';

/** The reasons a proxy can give for a denial or a failure; the same words reach the console. */
export const FLOW_REASONS = [
  'policy-deny',
  'policy-no-allow',
  'plaintext-refused',
  'peer-not-verified',
  'path-rejected',
  'token-rejected',
  'token-audience',
  'authorizer-denied',
  'authorizer-unavailable',
  'no-config',
  'upstream-unreachable',
  'upstream-identity',
  'unknown-destination',
  'bad-request',
  'overloaded',
  'timeout',
  'fault-injected',
] as const;
export type FlowReason = (typeof FLOW_REASONS)[number];

/**
 * Calls of one kind that one proxy counted between `firstSeen` and `lastSeen` (milliseconds since the epoch).
 * Counts are exact. `inbound` flows are the receiver's and authoritative; `outbound` ones the caller's.
 */
export interface Flow {
  /** Name of the proxy that counted. */
  readonly reporter: string;
  readonly side: 'inbound' | 'outbound';
  readonly source: {
    /** SPIFFE ID from the verified client certificate; null when the peer spoke plaintext. */
    readonly principal: string | null;
    /** Address of the direct peer. */
    readonly ip: string;
  };
  readonly destination: {
    readonly namespace: string;
    /** Name of the receiving Workload; on the outbound side the Service's name until an endpoint was chosen. */
    readonly workload: string | null;
    /** Name of the Service that was called, when the port belongs to one. */
    readonly service: string | null;
    /** The workload's port. */
    readonly port: number;
  };
  readonly protocol: 'http' | 'tcp';
  readonly method: string | null;
  /** Normal form of the path with volatile segments as `{id}`; null for TCP. */
  readonly path: string | null;
  /** One concrete normalised path that was counted here: what a dry run evaluates. */
  readonly samplePath: string | null;
  readonly mtls: MtlsState;
  readonly verdict: FlowVerdict;
  readonly reason: FlowReason | null;
  /** `namespace/name` of the policy that decided, when one did. */
  readonly policy: string | null;
  readonly count: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** One denied or refused call, kept as an event beside the counts. Times in milliseconds since the epoch. */
export interface DenyEvent {
  readonly at: number;
  readonly reporter: string;
  readonly source: { readonly principal: string | null; readonly ip: string };
  readonly destination: {
    readonly namespace: string;
    readonly workload: string;
    readonly service: string | null;
    readonly port: number;
  };
  readonly method: string | null;
  readonly path: string | null;
  readonly policy: string | null;
  readonly reason: FlowReason;
  readonly traceId: string | null;
}

/** Calls that a DryRun or AUDIT policy matched: what it would have said, counted by its rule and the workload's port. */
export interface ShadowCount {
  /** `namespace/name`. */
  readonly policy: string;
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  readonly rule: number;
  readonly namespace: string;
  readonly workload: string;
  readonly port: number;
  readonly count: number;
}

/** An unbroken stretch of time for which a proxy delivered its telemetry (milliseconds since the epoch). */
export interface CoverageInterval {
  readonly proxy: string;
  readonly from: number;
  readonly to: number;
}

/** A closed-open window of time in milliseconds since the epoch. */
export interface Window {
  readonly from: number;
  readonly to: number;
}
