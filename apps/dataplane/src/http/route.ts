import { decidedAs, type PortProtocol } from '@sallyport/shared/mesh';
import type { ServiceConfig } from '@sallyport/shared/push';
import type { RequestMessage } from './exchange.ts';

export type ServicePort = ServiceConfig['ports'][number];
export type Endpoint = ServicePort['endpoints'][number];

/** A version of HTTP that we speak to a port. */
export type HttpVersion = 1 | 2;

/** What the application behind a port takes; where nobody said, it is the version that it is called by. */
export function versionTo(protocol: PortProtocol, caller: RequestMessage['version']): HttpVersion {
  if (protocol === 'auto') return caller === '2' ? 2 : 1;
  return protocol === 'http2' || protocol === 'grpc' ? 2 : 1;
}

/** What a `Host` header asks for. `port` is null when none was named. */
export interface RequestedService {
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
}

/**
 * Reads `service`, `service.namespace`, `service.namespace.svc` or `service.namespace.svc.cluster.local`, each with an
 * optional port; a bare service belongs to `ownNamespace`. Null for any other host.
 */
export function readHost(host: string, ownNamespace: string): RequestedService | null {
  const match = /^([a-z0-9-]{1,63})(?:\.([a-z0-9-]{1,63}))?(?:\.svc(?:\.cluster\.local)?)?\.?(?::(\d{1,5}))?$/.exec(host.toLowerCase());
  if (!match?.[1]) return null;
  return { name: match[1], namespace: match[2] ?? ownNamespace, port: match[3] === undefined ? null : Number(match[3]) };
}

/** The HTTP port that is meant: the named one; else 80; else the first. Null when the service has none such. */
export function httpPort(service: ServiceConfig, port: number | null): ServicePort | null {
  const ports = service.ports.filter(({ protocol }) => decidedAs(protocol).includes('http'));
  if (port !== null) return ports.find((candidate) => candidate.port === port) ?? null;
  return ports.find((candidate) => candidate.port === 80) ?? ports[0] ?? null;
}
