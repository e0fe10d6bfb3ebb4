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

/** Oldest by creation time (one without comes first), then by name, so that ties are settled the same way everywhere. */
function oldest(policies: readonly PeerAuthentication[]): PeerAuthentication | undefined {
  // As times, not as text: `00:00:00.5Z` sorts before `00:00:00Z`.
  const born = ({ metadata }: PeerAuthentication) => (metadata.creationTimestamp === undefined ? 0 : Date.parse(metadata.creationTimestamp));
  const byName = (a: PeerAuthentication, b: PeerAuthentication) => (a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0);
  return [...policies].sort((a, b) => born(a) - born(b) || byName(a, b))[0];
}
