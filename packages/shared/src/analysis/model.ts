import type { FlowReason, MeshService, MeshWorkload } from '../mesh/index.ts';
import { type CompiledWorkloadPolicy, compileWorkloadPolicy, decideTarget, effectiveMtls, type EffectiveMtls, type PolicyTarget, type RawRequest } from '../policy/index.ts';
import type { AuthorizationPolicy, MeshSpec, PeerAuthentication, RequestAuthentication } from '../resources/index.ts';

/** Policies to ask about: the stored ones, a proposal, or those of some files. */
export interface PolicySet {
  readonly mesh: MeshSpec;
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications?: readonly RequestAuthentication[];
}

/** What there is to protect. */
export interface Universe {
  readonly workloads: readonly MeshWorkload[];
  readonly services: readonly MeshService[];
}

/** A workload as policies see it, with the services that lead to it. */
export function policyTarget(workload: Pick<MeshWorkload, 'namespace' | 'name' | 'labels'>, services: readonly MeshService[]): PolicyTarget {
  const { namespace, name, labels } = workload;
  return { namespace, labels, services: services.filter((service) => service.namespace === namespace && service.workloads.includes(name)).map((service) => service.name) };
}

/** Compiles what bears on a workload, with the evaluator that the proxies run. */
export function compileFor(policies: PolicySet, workload: Pick<MeshWorkload, 'namespace' | 'name' | 'labels'>, services: readonly MeshService[]): CompiledWorkloadPolicy {
  return compileWorkloadPolicy({ ...policies, workload: policyTarget(workload, services) });
}

/** The receiving proxy's whole answer to a call: handshake first, then policy. */
export interface CallVerdict {
  readonly effect: 'ALLOW' | 'DENY' | 'ASK';
  readonly status: number;
  readonly reason: FlowReason | null;
  /** `namespace/name` of what decided; null when nothing had to. */
  readonly policy: string | null;
  readonly rule: number | null;
  /** Whom to ask when the effect is ASK. */
  readonly provider: string | null;
  readonly explanation: string;
}

/** Decides a call in the proxy's order: on a STRICT port plaintext is refused before any policy is read; on a DISABLE port nobody has an identity. */
export function judgeCall(compiled: CompiledWorkloadPolicy, request: RawRequest): CallVerdict {
  const mtls = effectiveMtls(compiled, request.destination.port);
  const seen = mtls.mode === 'DISABLE' && request.source.principal !== null ? { ...request, source: { ...request.source, principal: null } } : request;
  if (mtls.mode === 'STRICT' && seen.source.principal === null) {
    return { effect: 'DENY', status: 403, reason: 'plaintext-refused', policy: mtls.policy, rule: null, provider: null, explanation: `port ${request.destination.port} is STRICT (${describeMtls(mtls)}) and the peer speaks plaintext` };
  }
  const { effect, status, reason, policy, rule, provider, explanation } = decideTarget(compiled, seen).decision;
  return { effect, status, reason, policy, rule, provider, explanation };
}

/** Where a mode comes from, in words. */
function describeMtls({ policy, scope }: EffectiveMtls): string {
  return policy === null ? 'by default' : `by PeerAuthentication ${policy}, ${scope} scope`;
}
