import type { ServiceConfig } from '@sallyport/shared/push';
import type { HboneClient } from '../hbone/client.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { Link } from '../link/link.ts';
import { dialMesh, dialPlaintext } from './dial.ts';

type Endpoint = ServiceConfig['ports'][number]['endpoints'][number];

/**
 * Connects to an endpoint: plaintext when it is outside the mesh; else by HBONE, or, when that cannot be had now, by mutual TLS
 * on the port itself. The same identity must answer either way; never plaintext.
 *
 * @param allowHalfOpen for TCP; an HTTP pool must notice at once that the other side closed
 * @throws DialError
 */
export async function dialEndpoint(endpoint: Endpoint, credentials: Credentials, tunnels: HboneClient, allowHalfOpen: boolean): Promise<Link> {
  const { address, port, spiffeId, hbone } = endpoint;
  if (spiffeId === null) return dialPlaintext({ host: address, port }, allowHalfOpen);
  const direct = () => dialMesh({ host: address, port }, spiffeId, credentials, allowHalfOpen);
  if (hbone === null) return direct();
  const destination = { address, port, hbone, spiffeId };
  const stream = await tunnels.connect(destination, credentials);
  if (stream !== null) return stream;
  const link = await direct();
  // A pool keeps links for an hour: without this a slow first handshake would keep its calls from HBONE for as long.
  link.isRetiring = tunnels.watch(destination, credentials);
  return link;
}
