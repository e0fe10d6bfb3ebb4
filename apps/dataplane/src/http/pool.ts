import type { Credentials } from '../identity/credentials.ts';
import { formatAddress } from '../listener/address.ts';
import { dialMesh, dialPlaintext } from '../listener/dial.ts';
import type { Link } from '../link/link.ts';
import type { UpstreamPool } from './exchange.ts';
import { H2Pool } from './h2-pool.ts';
import { Http1Pool } from './http1-pool.ts';
import type { Endpoint, HttpVersion } from './route.ts';

/** Connects to an endpoint: mutual TLS when it has an identity, plaintext when it is outside the mesh. @throws DialError */
export function dialEndpoint(endpoint: Endpoint, credentials: Credentials, allowHalfOpen: boolean): Promise<Link> {
  const address = { host: endpoint.address, port: endpoint.port };
  if (endpoint.spiffeId === null) return dialPlaintext(address, allowHalfOpen);
  return dialMesh(address, endpoint.spiffeId, credentials, allowHalfOpen);
}

/** Pools of one workload for one version of HTTP, one for each endpoint: identities never share a connection. */
export class EndpointPools {
  readonly #pools = new Map<string, UpstreamPool>();
  /** The same by what is at hand: a configuration keeps its endpoints' objects, and making keys costs more than a call should. */
  #known = new WeakMap<Endpoint, UpstreamPool>();
  #credentials: Credentials | null = null;
  readonly #version: HttpVersion;
  readonly #defect: (error: unknown) => void;
  #turn = 0;

  constructor(version: HttpVersion, defect: (error: unknown) => void) {
    this.#version = version;
    this.#defect = defect;
  }

  poolFor(endpoint: Endpoint, credentials: Credentials): UpstreamPool {
    return this.#find(endpoint, credentials) ?? this.#create(endpoint, credentials);
  }

  /** The endpoint with the fewest requests in flight; equals take turns. Null when there is none but `except`. */
  choose(endpoints: readonly Endpoint[], credentials: Credentials, except: Endpoint | null): Endpoint | null {
    this.#turn += 1;
    let best: Endpoint | null = null;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (let i = 0; i < endpoints.length; i += 1) {
      const endpoint = endpoints[(i + this.#turn) % endpoints.length];
      if (!endpoint || endpoint === except) continue;
      const load = this.#find(endpoint, credentials)?.load ?? 0;
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
    for (const [key, pool] of this.#pools) {
      if (keys.has(key)) continue;
      pool.retire();
      this.#pools.delete(key);
    }
    this.#known = new WeakMap();
  }

  retire(): void {
    for (const pool of this.#pools.values()) pool.retire();
    this.#pools.clear();
    this.#known = new WeakMap();
  }

  #find(endpoint: Endpoint, credentials: Credentials): UpstreamPool | undefined {
    if (credentials !== this.#credentials) {
      this.#credentials = credentials;
      this.#known = new WeakMap();
    }
    const known = this.#known.get(endpoint);
    if (known) return known;
    const pool = this.#pools.get(keyOf(endpoint, credentials));
    if (pool) this.#known.set(endpoint, pool);
    return pool;
  }

  #create(endpoint: Endpoint, credentials: Credentials): UpstreamPool {
    const dial = () => dialEndpoint(endpoint, credentials, false);
    const pool = this.#version === 2 ? new H2Pool(dial, this.#defect) : new Http1Pool(dial);
    this.#pools.set(keyOf(endpoint, credentials), pool);
    return pool;
  }
}

function keyOf(endpoint: Endpoint, credentials: Credentials): string {
  return `${credentials.spiffeId} ${formatAddress({ host: endpoint.address, port: endpoint.port })} ${endpoint.spiffeId ?? ''}`;
}
