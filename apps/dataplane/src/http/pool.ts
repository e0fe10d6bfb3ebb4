import type { Credentials } from '../identity/credentials.ts';
import { formatAddress } from '../listener/address.ts';
import { dialMesh, dialPlaintext } from '../listener/dial.ts';
import type { Link } from '../link/link.ts';
import type { SocketLink } from '../link/socket-link.ts';
import { PooledAgent } from './agents.ts';
import type { Endpoint } from './route.ts';

/** Connects to an endpoint: mutual TLS when it has an identity, plaintext when it is outside the mesh. @throws DialError */
export function dialEndpoint(endpoint: Endpoint, credentials: Credentials, allowHalfOpen: boolean): Promise<Link> {
  const address = { host: endpoint.address, port: endpoint.port };
  if (endpoint.spiffeId === null) return dialPlaintext(address, allowHalfOpen);
  return dialMesh(address, endpoint.spiffeId, credentials, allowHalfOpen);
}

/** Keep-alive pools of one workload, one for each endpoint: identities never share a connection. */
export class EndpointPools {
  readonly #agents = new Map<string, PooledAgent>();
  #turn = 0;

  agentFor(endpoint: Endpoint, credentials: Credentials): PooledAgent {
    const key = keyOf(endpoint, credentials);
    const known = this.#agents.get(key);
    if (known) return known;
    const agent = new PooledAgent(async () => ((await dialEndpoint(endpoint, credentials, false)) as SocketLink).socket);
    this.#agents.set(key, agent);
    return agent;
  }

  /** The endpoint with the fewest requests in flight; equals take turns. Null when there is none but `except`. */
  choose(endpoints: readonly Endpoint[], credentials: Credentials, except: Endpoint | null): Endpoint | null {
    this.#turn += 1;
    let best: Endpoint | null = null;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (let i = 0; i < endpoints.length; i += 1) {
      const endpoint = endpoints[(i + this.#turn) % endpoints.length];
      if (!endpoint || endpoint === except) continue;
      const load = this.#agents.get(keyOf(endpoint, credentials))?.load ?? 0;
      if (load < bestLoad) {
        best = endpoint;
        bestLoad = load;
      }
    }
    return best;
  }

  /** Retires the pools of endpoints that are not in `wanted` any more. */
  keep(wanted: readonly Endpoint[], credentials: Credentials): void {
    const keys = new Set(wanted.map((endpoint) => keyOf(endpoint, credentials)));
    for (const [key, agent] of this.#agents) {
      if (keys.has(key)) continue;
      agent.retire();
      this.#agents.delete(key);
    }
  }

  retire(): void {
    for (const agent of this.#agents.values()) agent.retire();
    this.#agents.clear();
  }
}

function keyOf(endpoint: Endpoint, credentials: Credentials): string {
  return `${credentials.spiffeId} ${formatAddress({ host: endpoint.address, port: endpoint.port })} ${endpoint.spiffeId ?? ''}`;
}
