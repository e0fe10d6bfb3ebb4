import type { Credentials } from '../identity/credentials.ts';
import { formatAddress } from '../listener/address.ts';
import type { Log } from '../telemetry/log.ts';
import { Pool } from './pool.ts';
import type { HboneStream } from './stream.ts';

/** Where a call is to go by HBONE, and who must be there. */
export interface HboneDestination {
  readonly address: string;
  /** The service port of the workload. */
  readonly port: number;
  /** The port at which its proxy takes HBONE. */
  readonly hbone: number;
  readonly spiffeId: string;
}

/**
 * Our side of HBONE: connections to other proxies, shared by all calls of one identity to one workload. Identities never
 * share a connection.
 */
export class HboneClient {
  readonly #log: Log;
  readonly #pools = new Map<string, Pool>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Connections and streams that are open now. */
  get open(): { readonly connections: number; readonly streams: number } {
    const pools = [...this.#pools.values()];
    return { connections: pools.reduce((sum, pool) => sum + pool.connections, 0), streams: pools.reduce((sum, pool) => sum + pool.streams, 0) };
  }

  /**
   * A stream to a workload whose proxy has proved its identity. Null when there is none to be had now: then mutual TLS on the
   * port itself, with the same check of the same identity, is what is left. Nothing is lost by that but speed.
   */
  connect(destination: HboneDestination, credentials: Credentials): Promise<HboneStream | null> {
    return this.#pool(destination, credentials).connect(authorityOf(destination));
  }

  /** Tells, each time it is asked, whether a stream could be had now: a link that came instead of one should go then. */
  watch(destination: HboneDestination, credentials: Credentials): () => boolean {
    const pool = this.#pool(destination, credentials);
    const authority = authorityOf(destination);
    return () => pool.available(authority);
  }

  /** Lets streams finish within `grace` ms, then breaks every connection. */
  async close(grace: number): Promise<void> {
    const closing = [...this.#pools.values()].map((pool) => pool.close(grace));
    this.#pools.clear();
    await Promise.all(closing);
  }

  #pool({ address, hbone, spiffeId }: HboneDestination, credentials: Credentials): Pool {
    const key = `${credentials.spiffeId} ${formatAddress({ host: address, port: hbone })} ${spiffeId}`;
    const known = this.#pools.get(key);
    if (known?.target.credentials === credentials) return known;
    // The same identity after it was taken away and given again.
    void known?.close(0);
    this.#sweep();
    const pool = new Pool({ address: { host: address, port: hbone }, expected: spiffeId, credentials }, this.#log);
    this.#pools.set(key, pool);
    return pool;
  }

  /** Workloads come and go: pools that lead to nobody any more are forgotten. */
  #sweep(): void {
    for (const [key, pool] of this.#pools) {
      if (!pool.unused) continue;
      this.#pools.delete(key);
      void pool.close(0);
    }
  }
}

function authorityOf({ address, port }: HboneDestination): string {
  return formatAddress({ host: address, port });
}
