import type { ConfigEntry } from '@sallyport/shared/push';
import type { Service, TrafficPolicy } from '@sallyport/shared/resources';

/**
 * The policy that rules each Service, by `namespace/name` of the Service. GEP-713: of policies that conflict, "the
 * oldest policy based on creation timestamp" has precedence, then "the policy appearing first in alphabetical order by
 * {namespace}/{name}".
 */
export function rulingPolicies(policies: readonly TrafficPolicy[]): ReadonlyMap<string, TrafficPolicy> {
  const rulers = new Map<string, TrafficPolicy>();
  for (const policy of [...policies].sort(byAge)) {
    for (const key of targetsOf(policy)) if (!rulers.has(key)) rulers.set(key, policy);
  }
  return rulers;
}

/** The Services that a policy is attached to, as `namespace/name`. */
export function targetsOf({ metadata, spec }: TrafficPolicy): string[] {
  return [...new Set(spec.targetRefs.map(({ name }) => `${metadata.namespace ?? ''}/${name}`))];
}

/** What proxies get: each policy that rules a Service which exists, with the names of those. */
export function trafficEntries(policies: readonly TrafficPolicy[], services: readonly Service[], bare: (policy: TrafficPolicy) => TrafficPolicy): [string, ConfigEntry][] {
  const rulers = rulingPolicies(policies);
  const existing = new Set(services.map(nameOf));
  return policies.flatMap((policy): [string, ConfigEntry][] => {
    const ruled = targetsOf(policy).filter((key) => existing.has(key) && rulers.get(key) === policy);
    const names = ruled.map((key) => key.slice(key.indexOf('/') + 1)).sort();
    return names.length === 0 ? [] : [[`traffic/${nameOf(policy)}`, { type: 'traffic', value: { resource: bare(policy), services: names } }]];
  });
}

function byAge(a: TrafficPolicy, b: TrafficPolicy): number {
  const age = (policy: TrafficPolicy) => policy.metadata.creationTimestamp ?? '';
  return compare(age(a), age(b)) || compare(nameOf(a), nameOf(b));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function nameOf({ metadata }: TrafficPolicy | Service): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
