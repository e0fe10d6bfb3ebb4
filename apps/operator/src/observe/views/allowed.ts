import { type AllowedEdge, nodesOfAccount } from '@sallyport/shared/graph';
import { parseSpiffeId } from '@sallyport/shared/mesh';
import { attaches } from '@sallyport/shared/policy';
import type { AuthorizationPolicy } from '@sallyport/shared/resources';
import { meshState, policyTargetOf } from '../mesh-state.ts';
import type { Sources } from '../observation.ts';
import { storedPolicies } from './strict.ts';

/**
 * Edges that an enforced ALLOW policy names: exact principals on services that the policy selects. Used to show what is
 * allowed and never used; wildcards are left out, because "anybody" names no edge.
 */
export function allowedEdges(sources: Sources): AllowedEdge[] {
  const mesh = meshState(sources.cache, sources.trustDomain);
  const stored = storedPolicies(sources);
  const workloads = new Map(mesh.workloads.map((workload) => [`${workload.namespace}/${workload.name}`, policyTargetOf(workload, stored.services)]));
  const policies = stored.authorizationPolicies.filter((policy) => policy.spec.action === 'ALLOW' && policy.spec.enforcement === 'Enforce');
  return policies.flatMap((policy) => {
    const sourcesOfPolicy = exactPrincipals(policy, sources.trustDomain).flatMap(([namespace, account]) => nodesOfAccount(mesh, namespace, account));
    const targets = mesh.services.filter((service) => service.workloads.some((name) => {
      const workload = workloads.get(`${service.namespace}/${name}`);
      return workload !== undefined && attaches(policy, { mesh: stored.mesh, workload });
    }));
    return targets.flatMap((service) =>
      service.ports.flatMap((port) => sourcesOfPolicy.map((source): AllowedEdge => ({
        source: source.id,
        target: `service:${service.namespace}/${service.name}`,
        port: port.targetPort,
        policy: `${policy.metadata.namespace ?? ''}/${policy.metadata.name}`,
      }))),
    );
  });
}

function exactPrincipals(policy: AuthorizationPolicy, trustDomain: string): [string, string][] {
  const principals = (policy.spec.rules ?? []).flatMap((rule) => (rule.from ?? []).flatMap(({ source }) => source.principals ?? []));
  return principals.flatMap((principal): [string, string][] => {
    if (principal.includes('*')) return [];
    const text = principal.startsWith('spiffe://') ? principal : `spiffe://${principal.replace(/^cluster\.local\//, `${trustDomain}/`)}`;
    const id = parseSpiffeId(text);
    return id.namespace !== null && id.serviceAccount !== null ? [[id.namespace, id.serviceAccount]] : [];
  });
}
