import { workloadSpiffeId } from '@sallyport/shared/mesh';
import type { ServiceConfig } from '@sallyport/shared/push';
import { HBONE_PORT, type Service, type Workload } from '@sallyport/shared/resources';
import { selectedWorkloads } from '../observe/mesh-state.ts';

type ServicePort = Service['spec']['ports'][number];
type WrittenEndpoint = NonNullable<Service['spec']['endpoints']>[number];
type Endpoint = ServiceConfig['ports'][number]['endpoints'][number];

/** By the list that they are of: a world is asked about each of its services, for each proxy. */
const byName = new WeakMap<readonly Workload[], ReadonlyMap<string, Workload>>();

/** A service as callers' proxies get it. */
export function serviceConfig(service: Service, workloads: readonly Workload[], trustDomain: string): ServiceConfig {
  const { namespace = '', name } = service.metadata;
  const { ports, addresses, endpoints } = service.spec;
  const known = endpoints === undefined ? null : named(workloads);
  const selected = endpoints === undefined ? selectedWorkloads(service, workloads) : [];
  return {
    namespace,
    name,
    ...(addresses === undefined || addresses.length === 0 ? {} : { addresses: [...addresses] }),
    ports: ports.map((port) => ({
      port: port.port,
      protocol: port.protocol,
      endpoints: known === null
        ? selected.map((workload) => endpointOf(workload, targetOf(port), trustDomain))
        : (endpoints ?? []).flatMap((endpoint) => writtenEndpoint(endpoint, port.port, known.get(`${namespace}/${endpoint.workload}`), trustDomain)),
    })),
  };
}

/** Services that lead to a workload, with the port of it that each leads to: they name the service on inbound flows. */
export function servicesAt(workload: Workload, services: readonly Service[]): { name: string; targetPort: number }[] {
  const leading = services.filter((service) => selectedWorkloads(service, [workload]).length > 0);
  return leading.flatMap(({ metadata: { name }, spec: { ports, endpoints = [] } }) => {
    const own = endpoints.find((endpoint) => endpoint.workload === workload.metadata.name)?.ports;
    return own?.map(({ targetPort }) => ({ name, targetPort })) ?? ports.map((port) => ({ name, targetPort: targetOf(port) }));
  });
}

/** The identity that a workload answers with. */
export function spiffeIdOf(workload: Workload, trustDomain: string): string {
  return workload.spec.spiffeId ?? workloadSpiffeId(trustDomain, workload.metadata.namespace ?? '', workload.spec.serviceAccount);
}

function named(workloads: readonly Workload[]): ReadonlyMap<string, Workload> {
  const known = byName.get(workloads) ?? new Map(workloads.map((workload) => [`${workload.metadata.namespace ?? ''}/${workload.metadata.name}`, workload]));
  byName.set(workloads, known);
  return known;
}

/** None for a workload that is not known, or that serves no such port. */
function writtenEndpoint({ address, ports }: WrittenEndpoint, port: number, workload: Workload | undefined, trustDomain: string): Endpoint[] {
  const target = ports.find((one) => one.port === port)?.targetPort;
  if (workload === undefined || target === undefined) return [];
  const endpoint = endpointOf(workload, target, trustDomain);
  // HBONE is taken at a workload's own address alone.
  return [address === undefined ? endpoint : { ...endpoint, address, hbone: null }];
}

function endpointOf(workload: Workload, port: number, trustDomain: string): Endpoint {
  const { proxy, spiffeId, address, otherAddresses, locality } = workload.spec;
  return {
    workload: workload.metadata.name,
    address,
    ...(otherAddresses === undefined || otherAddresses.length === 0 ? {} : { otherAddresses: [...otherAddresses] }),
    port,
    spiffeId: proxy === undefined && spiffeId === undefined ? null : spiffeIdOf(workload, trustDomain),
    ...(locality === undefined ? {} : { locality }),
    hbone: hboneOf(workload),
  };
}

function targetOf({ port, targetPort = port }: ServicePort): number {
  return targetPort;
}

/** Only a proxy takes HBONE. */
function hboneOf({ spec: { proxy, hbonePort = HBONE_PORT } }: Workload): number | null {
  return proxy === undefined || hbonePort === 0 ? null : hbonePort;
}
