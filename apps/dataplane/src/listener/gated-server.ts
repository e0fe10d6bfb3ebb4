import net from 'node:net';
import { type Address, bind } from './address.ts';
import { type LimitName, type Limits, Shares } from './limits.ts';

const KEEPALIVE_MS = 60_000;

/** Who is let in. */
export interface Admission extends Pick<Limits, 'connections' | 'connectionsOfPeer'> {
  /** Told of each connection that was closed for want of room. */
  readonly refused: (limit: LimitName) => void;
}

/**
 * A bound address whose connections wait until the gate opens: a new configuration binds all its listeners before any
 * of them serves, so that a refused configuration has served nobody.
 */
export class GatedServer {
  readonly address: Address;
  readonly #server: net.Server;
  readonly #serve: (socket: net.Socket) => void;
  readonly #sockets = new Set<net.Socket>();
  readonly #shares: Shares;
  readonly #refused: (limit: LimitName) => void;
  #waiting: net.Socket[] | null = [];

  constructor(address: Address, { connections, connectionsOfPeer, refused }: Admission, serve: (socket: net.Socket) => void) {
    this.address = address;
    this.#serve = serve;
    this.#shares = new Shares(connectionsOfPeer);
    this.#refused = refused;
    // Half-open: one side of a spliced connection may end while the other still sends.
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS });
    this.#server.maxConnections = connections;
    this.#server.on('drop', () => refused('listener'));
    this.#server.on('connection', (socket) => this.take(socket));
  }

  /** Binds. @throws Error naming the address */
  async listen(): Promise<void> {
    await bind(this.#server, this.address);
    // Accept errors (EMFILE) must not end the process; the kernel's queue holds the connections meanwhile.
    this.#server.on('error', () => undefined);
  }

  /** Serves what waits and what comes. */
  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const socket of waiting) if (!socket.destroyed) this.#serve(socket);
  }

  /** Stops accepting. Established connections go on. */
  stop(): void {
    this.#server.close();
    for (const socket of this.#waiting ?? []) socket.destroy();
  }

  /** Breaks every connection that is left. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Serves a connection as one of its own, also one that came in elsewhere. */
  take(socket: net.Socket): void {
    const peer = socket.remoteAddress;
    // Unix sockets have no address: there the peer is the workload itself.
    if (peer !== undefined && !this.#shares.take(peer)) {
      this.#refused('address');
      return void socket.on('error', () => undefined).destroy();
    }
    if (peer !== undefined) socket.once('close', () => this.#shares.give(peer));
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // A peer that resets its connection must never be an unhandled error.
    socket.on('error', () => undefined);
    if (this.#waiting) this.#waiting.push(socket);
    else this.#serve(socket);
  }
}
