import http, { type ClientRequestArgs } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Shorter than any server of ours keeps an idle connection: the client closes first and no request meets a closed one. */
const IDLE_MS = 30_000;
const MAX_AGE_MS = 3_600_000;
const MAX_SOCKETS = 512;
const MAX_IDLE_SOCKETS = 64;

/** Keep-alive connections to one place under one identity. A connection is authenticated once, so its age is bounded. */
export class PooledAgent extends http.Agent {
  readonly #dial: () => Promise<Socket>;
  readonly #retireAt = new WeakMap<Duplex, number>();
  #retired = false;

  /** @param dial makes a connection that is ready for the first byte; its DialError reaches the request */
  constructor(dial: () => Promise<Socket>) {
    super({ keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_IDLE_SOCKETS, timeout: IDLE_MS, scheduling: 'lifo' });
    this.#dial = dial;
  }

  override createConnection(_options: ClientRequestArgs, callback?: (error: Error | null, stream: Duplex) => void): null {
    void this.#connect(callback);
    return null;
  }

  async #connect(callback: ((error: Error | null, stream: Duplex) => void) | undefined): Promise<void> {
    const result = await this.#dial().catch((error: Error) => error);
    if (result instanceof Error) {
      // Node's callback takes an error alone; its type asks for a stream even then.
      callback?.(result, undefined as unknown as Duplex);
      return;
    }
    this.#retireAt.set(result, Date.now() + MAX_AGE_MS * (0.9 + Math.random() * 0.2));
    callback?.(null, result);
  }

  override keepSocketAlive(socket: Duplex): boolean {
    if (this.#retired || Date.now() > (this.#retireAt.get(socket) ?? 0)) return false;
    // Node's types say void; its code returns whether to keep the socket.
    return (super.keepSocketAlive(socket) as unknown) !== false;
  }

  /** Requests in flight and waiting. */
  get load(): number {
    const count = (lists: NodeJS.ReadOnlyDict<readonly unknown[]>) => Object.values(lists).reduce((sum, list) => sum + (list?.length ?? 0), 0);
    return count(this.sockets) + count(this.requests);
  }

  /** Lets requests in flight finish and keeps no connection after them. */
  retire(): void {
    this.#retired = true;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }
}
