import type { FlowReason } from '../mesh/index.ts';
import type { AuthorizationPolicySpec, MtlsMode } from '../resources/index.ts';
import type { NormalPath } from './path.ts';

/** Values of a validated token. Claims keep the shape that the token had. */
export interface VerifiedToken {
  readonly claims: Readonly<Record<string, unknown>>;
  /** Claims whose text is a list divided by spaces: `scope`, `permission` and those that the rule names. */
  readonly spaceDelimited: readonly string[];
}

/** What is to be decided: one HTTP request or one TCP connection, as the receiving proxy sees it. */
export interface PolicyRequest {
  readonly protocol: 'http' | 'tcp';
  readonly source: {
    /** SPIFFE ID of the verified peer; null for a plaintext peer. */
    readonly principal: string | null;
    /** Address of the direct peer. */
    readonly ip: string;
    /** Address of the client behind trusted proxies; absent: the direct peer's. */
    readonly remoteIp?: string;
  };
  readonly destination: { readonly ip: string; readonly port: number };
  /** Present when, and only when, `protocol` is `http`. */
  readonly http?: {
    readonly method: string;
    readonly host: string;
    /** From {@link normalizePath}: what is matched is what is forwarded. */
    readonly path: NormalPath;
    /** Lower-case names; every value by itself. */
    readonly headers: Readonly<Record<string, readonly string[]>>;
  };
  readonly sni?: string;
  /** The token that `RequestAuthentication` accepted; absent when none was presented. */
  readonly token?: VerifiedToken | null;
}

/** A request whose target is still as it came from the wire. */
export type RawRequest = Omit<PolicyRequest, 'http'> & {
  readonly http?: Omit<NonNullable<PolicyRequest['http']>, 'path'> & { /** Raw request target, query included. */ readonly target: string };
};

export type PolicyAction = AuthorizationPolicySpec['action'];

/** A DryRun or AUDIT policy that matched: reported, never deciding. */
export interface ShadowMatch {
  readonly policy: string;
  readonly action: PolicyAction;
  readonly rule: number;
}

/**
 * A verdict and why. Immutable and shared between requests.
 *
 * `ASK`: nothing here denies, and a CUSTOM policy wants the named external authorizer to be asked. Whoever cannot ask
 * it denies.
 */
export interface Decision {
  readonly effect: 'ALLOW' | 'DENY' | 'ASK';
  /** HTTP status that the verdict stands for: 200, 400 (a method or peer that has no meaning) or 403. */
  readonly status: 200 | 400 | 403;
  /** Null when allowed or to be asked. */
  readonly reason: FlowReason | null;
  /** `namespace/name` of the deciding policy; null when no policy had to decide. */
  readonly policy: string | null;
  /** Index of the rule that matched in the deciding policy. */
  readonly rule: number | null;
  /** Name of the extension provider to ask; null unless `effect` is `ASK`. */
  readonly provider: string | null;
  /** One sentence for people. */
  readonly explanation: string;
  readonly shadow: readonly ShadowMatch[];
}

/** The effective mode of a port, and where it came from. */
export interface EffectiveMtls {
  readonly mode: Exclude<MtlsMode, 'UNSET'>;
  /** `namespace/name` of the PeerAuthentication that set it; null for the built-in default PERMISSIVE. */
  readonly policy: string | null;
  readonly scope: 'port' | 'workload' | 'namespace' | 'mesh' | 'default';
}
