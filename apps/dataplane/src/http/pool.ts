import type { HboneClient } from '../hbone/client.ts';
import type { Credentials } from '../identity/credentials.ts';
import { formatAddress } from '../listener/address.ts';
import { dialEndpoint } from '../listener/dial-endpoint.ts';
import type { ConnectionGate } from './connection-gate.ts';
import type { UpstreamPool } from './exchange.ts';
import { H2Pool } from './h2-pool.ts';
import { Http1Pool } from './http1-pool.ts';
import type { Endpoint, HttpVersion } from './route.ts';

/** Pools of one workload for one version of HTTP, one for each endpoint: identities never share a connection. */
export class EndpointPools {
  readonly #pools = new Map<string, UpstreamPool>();
  /** The same by what is at hand: a configuration keeps its endpoints' objects, and making keys costs more than a call should. */
  #known = new WeakMap<Endpoint, UpstreamPool>();
  #credentials: Credentials | null = null;
  readonly #version: HttpVersion;
  readonly #tunnels: HboneClient;
  readonly #defect: (error: unknown) => void;
  readonly #gate: ConnectionGate | null;

  /** @param gate what bounds their connections together; null for nothing but their own limits */
  constructor(version: HttpVersion, tunnels: HboneClient, defect: (error: unknown) => void, gate: ConnectionGate | null = null) {
    this.#version = version;
    this.#tunnels = tunnels;
    this.#defect = defect;
    this.#gate = gate;
  }

  poolFor(endpoint: Endpoint, credentials: Credentials): UpstreamPool {
    return this.#find(endpoint, credentials) ?? this.#create(endpoint, credentials);
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
    const dial = () => dialEndpoint(endpoint, credentials, this.#tunnels, false);
    const pool = this.#version === 2 ? new H2Pool(dial, this.#defect, this.#gate) : new Http1Pool(dial, this.#defect, this.#gate);
    this.#pools.set(keyOf(endpoint, credentials), pool);
    return pool;
  }
}

function keyOf(endpoint: Endpoint, credentials: Credentials): string {
  return `${credentials.spiffeId} ${formatAddress({ host: endpoint.address, port: endpoint.port })} ${endpoint.spiffeId ?? ''} ${endpoint.hbone ?? ''}`;
}
