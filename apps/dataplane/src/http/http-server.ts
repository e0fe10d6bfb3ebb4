import type { Link } from '../link/link.ts';
import { peek, type Peeked } from '../link/peek.ts';
import { readVersion, type Version } from '../listener/first-bytes.ts';
import type { Downstream } from './exchange.ts';
import { H2Server } from './h2-server.ts';
import { Http1Server, type Http1ServerUser } from './http1-server.ts';

/** Within this time a caller has begun its preface or its first request, or it is one of HTTP/1 that keeps a connection ready. */
const FIRST_BYTES_MS = 10_000;

/** A connection, whatever version it speaks. */
interface Connection {
  start(): void;
  /** Ends when its open calls have. */
  retire(): void;
  destroy(): void;
}

/** What is served on one connection. */
export interface CallHandler {
  call(call: Downstream): void;
  /** Bytes that are no acceptable HTTP; they were answered, and the connection is closed. */
  malformed(reason: string): void;
  /** A failure of this program itself; the connection is broken. */
  defect(error: unknown): void;
}

/** Serves both versions of HTTP on connections that others accept, each by the preface that it begins with or not (RFC 9113 §3.3). */
export class HttpServer {
  readonly #connections = new Set<Connection>();
  /** Connections that said nothing yet. */
  readonly #silent = new Set<Link>();
  #closing = false;
  #empty: () => void = () => undefined;

  /** True once {@link close} was called: answers then end their connections. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Serves one connection. */
  accept(link: Link, handler: CallHandler): void {
    this.#silent.add(link);
    const serve = (peeked: Peeked<Version> | null): void => {
      this.#silent.delete(link);
      if (peeked !== null) this.#serve(peeked.link, peeked.told, handler);
    };
    peek<Version>(link, FIRST_BYTES_MS, readVersion, 'http1').then(serve).catch((error: unknown) => {
      link.destroy();
      handler.defect(error);
    });
  }

  #serve(link: Link, version: Version, handler: CallHandler): void {
    const user: Http1ServerUser = {
      onCall: (call) => handler.call(call),
      onMalformed: (reason) => handler.malformed(reason),
      onDefect: (error) => handler.defect(error),
      onClose: () => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#empty();
      },
    };
    const connection: Connection = version === 'http2' ? new H2Server(link, user) : new Http1Server(link, user);
    this.#connections.add(connection);
    connection.start();
  }

  /** Closes idle connections, waits up to `grace` ms for calls that are open, then closes all. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    for (const link of this.#silent) link.destroy();
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
