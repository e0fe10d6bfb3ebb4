import type { PeerAuthentication } from '../resources/index.ts';
import { type CompiledWorkloadPolicy, policyId } from './compile.ts';
import type { EffectiveMtls } from './types.ts';

/**
 * The mTLS mode of one port of the workload.
 *
 * Istio: workload > namespace > mesh; "the oldest policy wins" within one scope; UNSET inherits; the default is
 * PERMISSIVE. `portLevelMtls` counts only with a selector.
 */
export function effectiveMtls(compiled: CompiledWorkloadPolicy, port: number): EffectiveMtls {
  const { namespace } = compiled.workload;
  const root = compiled.mesh.rootNamespace;
  const own = compiled.peer.filter((policy) => policy.metadata.namespace === namespace);
  const workload = oldest(own.filter(hasSelector));
  const portMode = workload?.spec.portLevelMtls?.[String(port)]?.mode;
  if (workload && portMode && portMode !== 'UNSET') return { mode: portMode, policy: policyId(workload), scope: 'port' };
  const scopes = [
    ['workload', workload],
    ['namespace', namespace === root ? undefined : oldest(own.filter((policy) => !hasSelector(policy)))],
    ['mesh', oldest(compiled.peer.filter((policy) => policy.metadata.namespace === root && !hasSelector(policy)))],
  ] as const;
  for (const [scope, policy] of scopes) {
    const mode = policy?.spec.mtls?.mode;
    if (policy && mode && mode !== 'UNSET') return { mode, policy: policyId(policy), scope };
  }
  return { mode: 'PERMISSIVE', policy: null, scope: 'default' };
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}

/** Oldest by creation time, then by name, so that ties are settled the same way everywhere. */
function oldest(policies: readonly PeerAuthentication[]): PeerAuthentication | undefined {
  const key = (policy: PeerAuthentication) => `${policy.metadata.creationTimestamp ?? ''}\n${policy.metadata.name}`;
  return [...policies].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))[0];
}
