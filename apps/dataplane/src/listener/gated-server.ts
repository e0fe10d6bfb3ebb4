import net from 'node:net';
import { type Address, bind } from './address.ts';

const MAX_CONNECTIONS = 4096;
const KEEPALIVE_MS = 60_000;

/**
 * A bound address whose connections wait until the gate opens: a new configuration binds all its listeners before any
 * of them serves, so that a refused configuration has served nobody.
 */
export class GatedServer {
  readonly address: Address;
  readonly #server: net.Server;
  readonly #serve: (socket: net.Socket) => void;
  readonly #sockets = new Set<net.Socket>();
  #waiting: net.Socket[] | null = [];

  constructor(address: Address, serve: (socket: net.Socket) => void) {
    this.address = address;
    this.#serve = serve;
    // Half-open: one side of a spliced connection may end while the other still sends.
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS });
    this.#server.maxConnections = MAX_CONNECTIONS;
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
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // A peer that resets its connection must never be an unhandled error.
    socket.on('error', () => undefined);
    if (this.#waiting) this.#waiting.push(socket);
    else this.#serve(socket);
  }
}
