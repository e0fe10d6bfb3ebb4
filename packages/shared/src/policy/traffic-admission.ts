import type { TrafficPolicy } from '../resources/index.ts';

/** What is known of Services; without a function when the question cannot be asked (a single file, offline). */
export interface ServiceLookup {
  readonly serviceExists?: (namespace: string, name: string) => boolean;
  /** The same for a port of a Service that exists. */
  readonly portExists?: (namespace: string, name: string, port: number) => boolean;
}

/** A Service that a traffic policy names, and where it does. */
export interface NamedService {
  readonly field: string;
  readonly name: string;
  readonly port: number | null;
}

/** All Services that a traffic policy names, which are of its own namespace. */
export function servicesNamed({ spec }: TrafficPolicy): NamedService[] {
  const mirror = spec.requestMirror?.backendRef;
  return [
    ...spec.targetRefs.map(({ name }, index) => ({ field: `spec.targetRefs[${index}]`, name, port: null })),
    ...(spec.backendRefs ?? []).map(({ name, port }, index) => ({ field: `spec.backendRefs[${index}]`, name, port: port ?? null })),
    ...(mirror ? [{ field: 'spec.requestMirror.backendRef', name: mirror.name, port: mirror.port ?? null }] : []),
  ];
}

/** References of a traffic policy that lead nowhere: its calls would fail, or it would rule nothing. */
export function trafficProblems(policy: TrafficPolicy, { serviceExists, portExists }: ServiceLookup): { field: string; message: string }[] {
  const namespace = policy.metadata.namespace ?? '';
  return servicesNamed(policy).flatMap(({ field, name, port }) => {
    if (serviceExists?.(namespace, name) === false) return [{ field: `${field}.name`, message: `there is no Service ${namespace}/${name}; apply it first, or together with the policy` }];
    if (port !== null && portExists?.(namespace, name, port) === false) return [{ field: `${field}.port`, message: `Service ${namespace}/${name} has no port ${port}` }];
    return [];
  });
}
