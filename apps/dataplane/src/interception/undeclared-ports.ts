import type { Socket } from 'node:net';
import type { ServedWorkload } from '../authz/snapshot.ts';
import type { Credentials } from '../identity/credentials.ts';
import { formatAddress, type InetAddress } from '../listener/address.ts';
import { InboundPort, type InboundPortOptions, type InboundTarget } from '../listener/inbound-port.ts';

/** Ports that are served at once without having been declared: whoever calls them all must not cost us more. */
const MAX_PORTS = 128;

interface Owner {
  readonly workload: ServedWorkload;
  readonly credentials: Credentials;
}

interface Open {
  readonly place: InetAddress;
  readonly port: InboundPort;
  connections: number;
}

/** Ports of a workload that its resource does not name, made when they are called: `auto`, under the same policies. */
export class UndeclaredPorts {
  readonly #options: InboundPortOptions;
  readonly #ports = new Map<string, Open>();
  #owner: Owner;

  constructor(owner: Owner, options: InboundPortOptions) {
    this.#owner = owner;
    this.#options = options;
  }

  /**
   * Serves a connection to `place`. The application is called at that address and not at loopback: what listens on loopback
   * only is not for peers.
   *
   * @returns false when too many ports have open connections
   */
  take(socket: Socket, place: InetAddress): boolean {
    const key = formatAddress(place);
    const open = this.#ports.get(key) ?? this.#create(key, place);
    if (!open) return false;
    open.connections += 1;
    socket.once('close', () => {
      open.connections -= 1;
    });
    open.port.take(socket, place.host);
    return true;
  }

  update(owner: Owner): void {
    this.#owner = owner;
    for (const { place, port } of this.#ports.values()) port.update(targetOf(owner, place));
  }

  /** Breaks every connection. */
  breakOff(): void {
    for (const { port } of this.#ports.values()) port.breakOff();
  }

  async close(grace: number): Promise<void> {
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    await Promise.all(ports.map(({ port }) => port.close(grace)));
  }

  #create(key: string, place: InetAddress): Open | null {
    if (this.#ports.size >= MAX_PORTS && !this.#forgetOne()) return null;
    const port = new InboundPort(place, targetOf(this.#owner, place), this.#options);
    port.server.open();
    const open = { place, port, connections: 0 };
    this.#ports.set(key, open);
    return open;
  }

  #forgetOne(): boolean {
    const unused = [...this.#ports].find(([, { connections }]) => connections === 0);
    if (!unused) return false;
    this.#ports.delete(unused[0]);
    void unused[1].port.close(0);
    return true;
  }
}

function targetOf({ workload, credentials }: Owner, place: InetAddress): InboundTarget {
  return { workload, credentials, port: place.port, protocol: 'auto', app: place };
}
