import type { PortProtocol } from '@sallyport/shared/mesh';
import type { KubeServicePort } from './objects.ts';

/** Names of Kubernetes' own (KEP-2433), of IANA, and those that Istio reads. */
const PROTOCOLS: Readonly<Record<string, PortProtocol>> = {
  http: 'http', 'grpc-web': 'http', 'kubernetes.io/ws': 'http', http2: 'http2', 'kubernetes.io/h2c': 'http2', h2c: 'http2', grpc: 'grpc',
  https: 'tls', tls: 'tls', 'kubernetes.io/wss': 'tls', tcp: 'tcp', mongo: 'tcp', mysql: 'tcp', redis: 'tcp', postgresql: 'tcp', postgres: 'tcp', amqp: 'tcp',
};

/**
 * What is spoken on a port of a service: by its `appProtocol`, else by its name as Istio reads names (`<protocol>` or
 * `<protocol>-<anything>`), else told by the first bytes.
 */
export function protocolOf({ appProtocol, name }: Pick<KubeServicePort, 'appProtocol' | 'name'>): PortProtocol {
  const declared = PROTOCOLS[appProtocol?.toLowerCase() ?? ''];
  if (declared !== undefined) return declared;
  const words = (name ?? '').split('-');
  // `grpc-web` is a protocol of two words.
  return PROTOCOLS[words.slice(0, 2).join('-')] ?? PROTOCOLS[words[0] ?? ''] ?? 'auto';
}
