import { HBONE_PORT } from '@sallyport/shared/resources';
import type { Snapshot, ServedWorkload } from '../authz/snapshot.ts';
import { type ConfigProblem, RefusedConfigError } from '../config-stream/config-set.ts';
import { HboneServers, type HboneServersOptions, type WantedServer } from '../hbone/servers.ts';
import { Interceptors, type InterceptorsOptions, type WantedInterceptor } from '../interception/interceptors.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { InboundPort, type InboundTarget } from './inbound-port.ts';
import { OutboundPort, type OutboundTarget } from './outbound-port.ts';

/** How long connections of a removed listener may finish, in ms. */
const REMOVED_GRACE_MS = 5_000;

type Port = InboundPort | OutboundPort;

/** One listener that a configuration asks for. `entry` is the configuration entry to blame. */
interface Wanted {
  readonly entry: string;
  readonly address: Address;
  readonly workload: ServedWorkload;
  readonly use: { readonly side: 'inbound'; readonly index: number } | { readonly side: 'outbound'; readonly index: number };
}

/** Listeners that are bound and wait for the decision about their configuration. Exactly one of the two is called. */
export interface PreparedListeners {
  /** Serves by the new configuration; listeners that it does not name stop. */
  commit(): void;
  rollback(): void;
}

export interface ListenersOptions extends InterceptorsOptions, HboneServersOptions {}

/** Every listener of the process. Before the first configuration there is none, so that nothing is accepted. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #ports = new Map<string, Port>();
  readonly #tunnels: HboneServers;
  readonly #interceptors: Interceptors;
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: ListenersOptions) {
    this.#options = options;
    this.#tunnels = new HboneServers(options);
    this.#interceptors = new Interceptors(options);
  }

  /** Whether connections are redirected to us as the configuration says; null where it does not, or while that is not known. */
  get intercepting(): { readonly intact: boolean | null; readonly broken: boolean } {
    return this.#interceptors;
  }

  /** HBONE connections and streams of peers that are open now. */
  get tunnels(): HboneServers['open'] {
    return this.#tunnels.open;
  }

  /**
   * Binds what `snapshot` needs and is not bound yet. Identities of its workloads must be held already.
   *
   * @throws RefusedConfigError naming the workload and the address; then nothing is left bound
   */
  async prepare(snapshot: Snapshot): Promise<PreparedListeners> {
    const wanted = readWanted(snapshot);
    const fresh = new Map<string, Port>();
    const problems: ConfigProblem[] = [];
    for (const [key, listener] of wanted) {
      const present = this.#ports.get(key);
      if (present && isInbound(present) === (listener.use.side === 'inbound')) continue;
      const port = this.#create(listener, snapshot);
      try {
        // A redirected port is the application's own, to which the rules let nobody come.
        if (!isRedirected(listener)) await port.server.listen();
        fresh.set(key, port);
      } catch (error) {
        problems.push({ name: listener.entry, message: (error as Error).message });
      }
    }
    const rollback = () => {
      for (const port of fresh.values()) port.server.stop();
    };
    if (problems.length > 0) {
      rollback();
      throw new RefusedConfigError(problems);
    }
    const redirected = await this.#interceptors.bind(snapshot).catch((error: unknown) => {
      rollback();
      throw error;
    });
    const tunnels = this.#wantedTunnels(wanted, snapshot);
    const freshTunnels = await this.#tunnels.bind(tunnels);
    return {
      commit: () => {
        this.#commit(wanted, fresh, snapshot, redirected);
        this.#leave(this.#tunnels.commit(tunnels, freshTunnels, REMOVED_GRACE_MS));
      },
      rollback: () => {
        rollback();
        redirected.fresh?.stop();
        for (const server of freshTunnels.values()) void server.retire();
      },
    };
  }

  /** Stops accepting everywhere and finishes what is in flight within `grace` ms. */
  async close(grace: number): Promise<void> {
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    for (const port of ports) port.server.stop();
    const closeRedirected = this.#interceptors.stop();
    // Peers are told to go elsewhere before the first of their streams ends, so that no call meets a closed one.
    const closeTunnels = await this.#tunnels.retire();
    await Promise.all([closeTunnels(grace), ...ports.map((port) => port.close(grace)), closeRedirected(grace), ...this.#leaving]);
  }

  #commit(wanted: ReadonlyMap<string, Wanted>, fresh: ReadonlyMap<string, Port>, snapshot: Snapshot, redirected: WantedInterceptor): void {
    for (const [key, port] of this.#ports) {
      if (wanted.has(key)) continue;
      this.#ports.delete(key);
      this.#leave(port.close(REMOVED_GRACE_MS));
    }
    for (const [key, port] of fresh) this.#ports.set(key, port);
    for (const [key, listener] of wanted) {
      const port = this.#ports.get(key);
      if (port instanceof InboundPort) port.update(this.#inboundTarget(listener));
      else port?.update(this.#outboundTarget(listener, snapshot));
    }
    for (const port of fresh.values()) port.server.open();
    const declared = redirected.workload && this.#portsOf(redirected.workload);
    const portOf = (port: number) => declared?.get(formatAddress({ host: redirected.workload?.spec.address ?? '', port }));
    this.#leave(this.#interceptors.commit(redirected, snapshot, portOf, REMOVED_GRACE_MS));
  }

  /** One for each workload with ports, unless its address is another's too or its own port is in the way. */
  #wantedTunnels(wanted: ReadonlyMap<string, Wanted>, { workloads }: Snapshot): WantedServer[] {
    const places = workloads.flatMap((workload) => {
      const { address: host, hbonePort: port = HBONE_PORT, inbound } = workload.spec;
      return inbound.length > 0 && port > 0 ? [{ workload, address: { host, port } }] : [];
    });
    const byKey = Map.groupBy(places, ({ address }) => formatAddress(address));
    return [...byKey].flatMap(([key, [place, ...others]]): WantedServer[] => {
      if (!place) return [];
      // Two identities at one address: none of them is the one that every caller expects.
      if (others.length > 0 || wanted.has(key)) {
        this.#tunnels.without(key, wanted.has(key) ? 'a port of a workload is there' : 'several workloads have this address');
        return [];
      }
      const { workload, address } = place;
      return [{ address, target: () => ({ workload, credentials: this.#options.credentialsOf(workload), ports: this.#portsOf(workload) }) }];
    });
  }

  /** By the address that peers call. */
  #portsOf({ spec }: ServedWorkload): Map<string, InboundPort> {
    const addresses = spec.inbound.map(({ port }) => formatAddress({ host: spec.address, port }));
    return new Map(addresses.flatMap((address): [string, InboundPort][] => {
      const port = this.#ports.get(spec.interception ? redirectedKey(address) : address);
      return port instanceof InboundPort ? [[address, port]] : [];
    }));
  }

  #leave(closing: Promise<void>): void {
    this.#leaving.add(closing);
    void closing.finally(() => this.#leaving.delete(closing));
  }

  #create(listener: Wanted, snapshot: Snapshot): Port {
    if (listener.use.side === 'inbound') return new InboundPort(listener.address, this.#inboundTarget(listener), this.#options);
    return new OutboundPort(listener.address, this.#outboundTarget(listener, snapshot), this.#options);
  }

  #inboundTarget({ workload, use, entry }: Wanted): InboundTarget {
    const spec = workload.spec.inbound[use.index];
    if (!spec) throw new Error(`${entry} has no inbound ${use.index}`);
    const target = { workload, port: spec.port, protocol: spec.protocol, app: spec.app === undefined ? { host: workload.spec.address, port: spec.port } : parseAddress(spec.app), credentials: this.#options.credentialsOf(workload) };
    return workload.spec.interception ? { ...target, guarded: () => !this.#interceptors.broken } : target;
  }

  #outboundTarget({ workload, use, entry }: Wanted, snapshot: Snapshot): OutboundTarget {
    const spec = workload.spec.outbound[use.index];
    if (!spec) throw new Error(`${entry} has no outbound ${use.index}`);
    return { workload, spec, snapshot, credentials: this.#options.credentialsOf(workload) };
  }
}

function isRedirected({ workload, use }: Wanted): boolean {
  return use.side === 'inbound' && workload.spec.interception !== undefined;
}

/** A port that nobody binds is another thing than one at the same address that somebody does. */
function redirectedKey(address: string): string {
  return `redirected ${address}`;
}

function isInbound(port: Port): boolean {
  return port instanceof InboundPort;
}

/** The listeners of a snapshot by address. @throws RefusedConfigError when two want the same address */
function readWanted(snapshot: Snapshot): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  const problems: ConfigProblem[] = [];
  const add = (listener: Wanted) => {
    const address = formatAddress(listener.address);
    const key = isRedirected(listener) ? redirectedKey(address) : address;
    const other = wanted.get(key);
    if (other) problems.push({ name: listener.entry, message: `listens on ${key}, as ${other.entry} does` });
    else wanted.set(key, listener);
  };
  for (const workload of snapshot.workloads) {
    const entry = `workload/${workload.namespace}/${workload.name}`;
    const { address: host, inbound, outbound } = workload.spec;
    for (const [index, { port }] of inbound.entries()) add({ entry, address: { host, port }, workload, use: { side: 'inbound', index } });
    for (const [index, { listen }] of outbound.entries()) add({ entry, address: parseAddress(listen), workload, use: { side: 'outbound', index } });
  }
  if (problems.length > 0) throw new RefusedConfigError(problems);
  return wanted;
}
