import { formatAddress, type InetAddress } from '../listener/address.ts';
import type { Log } from '../telemetry/log.ts';
import { HboneServer, type HboneServerOptions, type HboneTarget } from './server.ts';

/** A peer that does not even answer a ping keeps a goodbye no longer than this. */
const GOODBYE_MS = 1_000;

export interface HboneServersOptions extends HboneServerOptions {
  readonly log: Log;
}

export interface WantedServer {
  readonly address: InetAddress;
  /** Called once its ports are there. */
  readonly target: () => HboneTarget;
}

/**
 * An HBONE server at each address of ours. One whose address is taken by somebody else is left out, and says so: callers
 * then use the service's ports, where mutual TLS is spoken as well.
 */
export class HboneServers {
  readonly #options: HboneServersOptions;
  readonly #servers = new Map<string, HboneServer>();
  readonly #warned = new Set<string>();

  constructor(options: HboneServersOptions) {
    this.#options = options;
  }

  /** Connections and streams that are open now. */
  get open(): { readonly connections: number; readonly streams: number } {
    const all = [...this.#servers.values()].map((server) => server.open);
    return { connections: all.reduce((sum, one) => sum + one.connections, 0), streams: all.reduce((sum, one) => sum + one.streams, 0) };
  }

  /** Binds what is wanted and free. Never fails. */
  async bind(wanted: readonly WantedServer[]): Promise<Map<string, HboneServer>> {
    const fresh = new Map<string, HboneServer>();
    for (const { address, target } of wanted) {
      const key = formatAddress(address);
      if (this.#servers.has(key)) continue;
      const server = new HboneServer(address, target(), this.#options);
      try {
        await server.server.listen();
        fresh.set(key, server);
        this.#warned.delete(key);
      } catch (error) {
        void server.retire();
        this.without(key, (error as Error).message);
      }
    }
    return fresh;
  }

  /** Says once that there is no HBONE at an address, and what would help. */
  without(address: string, reason: string): void {
    if (this.#warned.has(address)) return;
    this.#warned.add(address);
    const remedy = 'free the address, or give the workload an address or an hbonePort of its own (0 for none)';
    this.#options.log.warn({ address, reason, remedy }, 'no HBONE here; callers use mutual TLS on the service’s ports');
  }

  /** Serves what is wanted from now on. @returns the end of those that nobody wants any more, within `grace` ms */
  commit(wanted: readonly WantedServer[], fresh: ReadonlyMap<string, HboneServer>, grace: number): Promise<void> {
    for (const [key, server] of fresh) this.#servers.set(key, server);
    const targets = new Map(wanted.map(({ address, target }) => [formatAddress(address), target]));
    const leaving: HboneServer[] = [];
    for (const [key, server] of this.#servers) {
      const target = targets.get(key);
      if (target) server.update(target());
      else {
        this.#servers.delete(key);
        leaving.push(server);
      }
    }
    for (const server of fresh.values()) server.server.open();
    return Promise.all(leaving.map(async (server) => {
      await goodbye(server);
      await server.close(grace);
    })).then(() => undefined);
  }

  /** Stops accepting and says goodbye, so that peers send nothing new; they may finish until the function that it gives is called and its time is over. */
  async retire(): Promise<(grace: number) => Promise<void>> {
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(servers.map(goodbye));
    return async (grace) => {
      await Promise.all(servers.map((server) => server.close(grace)));
    };
  }
}

function goodbye(server: HboneServer): Promise<void> {
  const { promise: patience, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, GOODBYE_MS);
  return Promise.race([server.retire(), patience]).finally(() => clearTimeout(timer));
}
