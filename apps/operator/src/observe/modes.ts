import type { MeshWorkload, PortProtocol } from '@sallyport/shared/mesh';
import { attaches, compileWorkloadPolicy, type CompiledWorkloadPolicy, effectiveMtls, type EffectiveMtls } from '@sallyport/shared/policy';
import type { AuthorizationPolicy, MeshSpec, PeerAuthentication, RequestAuthentication, Service } from '@sallyport/shared/resources';
import { policyTargetOf } from './mesh-state.ts';

/** Policies to read modes and verdicts from: the stored ones, or a proposal. */
export interface PolicySet {
  readonly mesh: MeshSpec;
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  /** What `targetRefs` may name. */
  readonly services: readonly Service[];
}

type Placed = Pick<MeshWorkload, 'namespace' | 'labels'>;

/** Compiles what bears on a workload, with the evaluator that the proxies use. */
export function compileFor(workload: Placed, policies: PolicySet): CompiledWorkloadPolicy {
  return compileWorkloadPolicy({ ...policies, workload: policyTargetOf(workload, policies.services) });
}

/** Whether a policy bears on a workload, as the proxies see it. */
export function bearsOn(policy: AuthorizationPolicy | RequestAuthentication, workload: Placed, { mesh, services }: PolicySet): boolean {
  return attaches(policy, { mesh, workload: policyTargetOf(workload, services) });
}

export interface PortMode {
  readonly port: number;
  readonly protocol: PortProtocol;
  readonly effective: EffectiveMtls;
}

/** The effective mode of each port of a workload. */
export function portModes(workload: MeshWorkload, policies: PolicySet): PortMode[] {
  const compiled = compileFor(workload, policies);
  return workload.ports.map(({ port, protocol }) => ({ port, protocol, effective: effectiveMtls(compiled, port) }));
}

/** One mode for a namespace: that of all its meshed ports, MIXED when they differ. */
export function namespaceMode(workloads: readonly MeshWorkload[], namespace: string, policies: PolicySet): { mode: EffectiveMtls['mode'] | 'MIXED'; source: string | null } {
  const modes = workloads.filter((workload) => workload.namespace === namespace && workload.proxy !== null).flatMap((workload) => portModes(workload, policies));
  const bare = effectiveMtls(compileFor({ namespace, labels: {} }, policies), 0);
  const all = modes.length > 0 ? modes.map((item) => item.effective) : [bare];
  const distinct = new Set(all.map((effective) => effective.mode));
  const sources = new Set(all.map((effective) => effective.policy));
  const source = sources.size === 1 ? (all[0]?.policy ?? null) : null;
  return distinct.size === 1 && all[0] ? { mode: all[0].mode, source } : { mode: 'MIXED', source };
}
