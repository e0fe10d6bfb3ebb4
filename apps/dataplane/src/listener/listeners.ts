import { HBONE_PORT } from '@sallyport/shared/resources';
import type { Snapshot, ServedWorkload } from '../authz/snapshot.ts';
import { type ConfigProblem, RefusedConfigError } from '../config-stream/config-set.ts';
import { HboneServers, type HboneServersOptions, type WantedServer } from '../hbone/servers.ts';
import type { Credentials } from '../identity/credentials.ts';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { InboundPort, type InboundPortOptions, type InboundTarget } from './inbound-port.ts';
import { OutboundPort, type OutboundPortOptions, type OutboundTarget } from './outbound-port.ts';

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

export interface ListenersOptions extends InboundPortOptions, OutboundPortOptions, HboneServersOptions {
  readonly credentialsOf: (workload: ServedWorkload) => Credentials;
}

/** Every listener of the process. Before the first configuration there is none, so that nothing is accepted. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #ports = new Map<string, Port>();
  readonly #tunnels: HboneServers;
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: ListenersOptions) {
    this.#options = options;
    this.#tunnels = new HboneServers(options);
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
        await port.server.listen();
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
    const tunnels = this.#wantedTunnels(wanted, snapshot);
    const freshTunnels = await this.#tunnels.bind(tunnels);
    return {
      commit: () => {
        this.#commit(wanted, fresh, snapshot);
        this.#leave(this.#tunnels.commit(tunnels, freshTunnels, REMOVED_GRACE_MS));
      },
      rollback: () => {
        rollback();
        for (const server of freshTunnels.values()) void server.retire();
      },
    };
  }

  /** Stops accepting everywhere and finishes what is in flight within `grace` ms. */
  async close(grace: number): Promise<void> {
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    for (const port of ports) port.server.stop();
    // Peers are told to go elsewhere before the first of their streams ends, so that no call meets a closed one.
    const closeTunnels = await this.#tunnels.retire();
    await Promise.all([closeTunnels(grace), ...ports.map((port) => port.close(grace)), ...this.#leaving]);
  }

  #commit(wanted: ReadonlyMap<string, Wanted>, fresh: ReadonlyMap<string, Port>, snapshot: Snapshot): void {
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

  #portsOf({ spec }: ServedWorkload): Map<string, InboundPort> {
    const keys = spec.inbound.map(({ port }) => formatAddress({ host: spec.address, port }));
    return new Map(keys.flatMap((key): [string, InboundPort][] => {
      const port = this.#ports.get(key);
      return port instanceof InboundPort ? [[key, port]] : [];
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
    return { workload, port: spec.port, protocol: spec.protocol, app: parseAddress(spec.app), credentials: this.#options.credentialsOf(workload) };
  }

  #outboundTarget({ workload, use, entry }: Wanted, snapshot: Snapshot): OutboundTarget {
    const spec = workload.spec.outbound[use.index];
    if (!spec) throw new Error(`${entry} has no outbound ${use.index}`);
    return { workload, spec, snapshot, credentials: this.#options.credentialsOf(workload) };
  }
}

function isInbound(port: Port): boolean {
  return port instanceof InboundPort;
}

/** The listeners of a snapshot by address. @throws RefusedConfigError when two want the same address */
function readWanted(snapshot: Snapshot): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  const problems: ConfigProblem[] = [];
  const add = (listener: Wanted) => {
    const key = formatAddress(listener.address);
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
