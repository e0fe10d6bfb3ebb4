import type { Link } from '../link/link.ts';
import type { Downstream } from './exchange.ts';
import { Http1Server } from './http1-server.ts';

/** What is served on one connection. */
export interface CallHandler {
  call(call: Downstream): void;
  /** Bytes that are no acceptable HTTP; they were answered, and the connection is closed. */
  malformed(reason: string): void;
  /** A failure of this program itself; the connection is broken. */
  defect(error: unknown): void;
}

/** Serves HTTP on connections that others accept. */
export class HttpServer {
  readonly #connections = new Set<Http1Server>();
  #closing = false;
  #empty: () => void = () => undefined;

  /** True once {@link close} was called: answers then end their connections. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Serves one connection. */
  accept(link: Link, handler: CallHandler): void {
    const connection: Http1Server = new Http1Server(link, {
      onCall: (call) => handler.call(call),
      onMalformed: (reason) => handler.malformed(reason),
      onDefect: (error) => handler.defect(error),
      onClose: () => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#empty();
      },
    });
    this.#connections.add(connection);
    connection.start();
  }

  /** Closes idle connections, waits up to `grace` ms for calls that are open, then closes all. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    for (const connection of this.#connections) connection.retire();
    if (this.#connections.size > 0 && grace > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#empty = resolve;
      const timer = setTimeout(resolve, grace);
      await promise;
      clearTimeout(timer);
    }
    for (const connection of this.#connections) connection.destroy();
  }
}
