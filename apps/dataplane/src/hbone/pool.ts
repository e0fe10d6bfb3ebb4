import type { TLSSocket } from 'node:tls';
import type { Credentials } from '../identity/credentials.ts';
import type { Link } from '../link/link.ts';
import { type Address, formatAddress } from '../listener/address.ts';
import { DialError, dialMesh } from '../listener/dial.ts';
import { retirement } from '../listener/retirement.ts';
import type { Log } from '../telemetry/log.ts';
import { Holdoff } from './holdoff.ts';
import { open } from './opening.ts';
import type { HboneStream } from './stream.ts';
import { Tunnel } from './tunnel.ts';

const IDLE_S = 60;
/** Callers do not wait longer than this for a connection that is being made: their call goes by the service's port. */
const PATIENCE_MS = 300;
/** How often a call is tried on a fresh connection when the one before said goodbye. */
const ATTEMPTS = 3;

/** Where a pool's connections lead, and who must answer there. */
export interface PoolTarget {
  readonly address: Address;
  readonly expected: string;
  readonly credentials: Credentials;
}

/** The connections of one identity to one workload's proxy. */
export class Pool {
  readonly target: PoolTarget;
  readonly #log: Log;
  readonly #unsubscribe: () => void;
  readonly #tunnels = new Set<Tunnel>();
  readonly #holdoff = new Holdoff();
  readonly #refused = new Map<string, Holdoff>();
  #dialling: Promise<boolean> | null = null;
  #epoch = 0;
  #closed = false;

  constructor(target: PoolTarget, log: Log) {
    this.target = target;
    this.#log = log;
    // A renewed SVID or trust bundle must be shown, and asked for, on connections to come.
    this.#unsubscribe = target.credentials.onChange(() => this.retire());
  }

  get connections(): number {
    return this.#tunnels.size;
  }

  get streams(): number {
    return [...this.#tunnels].reduce((sum, { connection }) => sum + connection.streamCount, 0);
  }

  /** True when nothing would be lost with it. */
  get unused(): boolean {
    return this.#tunnels.size === 0 && this.#dialling === null && !this.#holdoff.waits;
  }

  /** A stream to `authority`; null when there is none to be had now, and the call must go by the service's port. */
  async connect(authority: string): Promise<HboneStream | null> {
    if (this.#refused.get(authority)?.waits) return null;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const tunnel = await this.#tunnel();
      if (!tunnel) return null;
      const opened = await open(tunnel, authority);
      if (opened.link) {
        this.#refused.delete(authority);
        return opened.link;
      }
      if (!opened.elsewhere) return this.#remember(authority, opened.reason);
    }
    return null;
  }

  /** True when a stream could be had at once. While it could not, a connection is made for later, as often as that is allowed. */
  available(authority: string): boolean {
    // Forgotten by its client: a new link asks another pool.
    if (this.#closed) return true;
    if (this.#refused.get(authority)?.waits) return false;
    for (const tunnel of this.#tunnels) if (tunnel.free) return true;
    if (!this.#holdoff.waits) this.#dialling ??= this.#withPatience();
    return false;
  }

  /** New calls get new connections; the present ones end with their streams. */
  retire(): void {
    this.#epoch += 1;
    for (const tunnel of this.#tunnels) tunnel.retire();
  }

  async close(grace: number): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.retire();
    const end = Date.now() + grace;
    while (this.#tunnels.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const tunnel of this.#tunnels) tunnel.destroy();
  }

  /** A connection with room for a stream. Callers that come while one is made wait for the same one, within their patience. */
  async #tunnel(): Promise<Tunnel | null> {
    for (;;) {
      for (const tunnel of this.#tunnels) if (tunnel.free) return tunnel;
      if (this.#dialling === null && this.#holdoff.waits) return null;
      this.#dialling ??= this.#withPatience();
      if (!(await this.#dialling)) return null;
    }
  }

  /** The dial goes on when patience ends, for calls to come. */
  #withPatience(): Promise<boolean> {
    const dial = this.#dial().finally(() => {
      this.#dialling = null;
    });
    const { promise: patience, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    return Promise.race([dial.finally(() => clearTimeout(timer)), patience]);
  }

  async #dial(): Promise<boolean> {
    const { address, expected, credentials } = this.target;
    try {
      const link = await dialMesh(address, expected, credentials, true, ['h2']);
      // RFC 9113 §3.2: HTTP/2 over TLS is agreed on by ALPN.
      if ((link.socket as TLSSocket).alpnProtocol !== 'h2') {
        link.destroy();
        throw new DialError('upstream-unreachable', 'the peer does not speak HTTP/2');
      }
      await this.#keep(link);
      this.#holdoff.succeeded();
      return true;
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      // Without an SVID of our own nothing was tried.
      if (error.reason !== 'no-config') this.#holdoff.failed();
      this.#log.info({ address: formatAddress(address), expected, reason: error.message }, 'no HBONE connection; calls go by mutual TLS on the service’s port');
      return false;
    }
  }

  async #keep(link: Link): Promise<void> {
    const epoch = this.#epoch;
    const tunnel: Tunnel = new Tunnel(link, 'client', { retireAt: retirement(), idle: IDLE_S }, { onClosed: () => this.#tunnels.delete(tunnel) });
    // Its SETTINGS say how many streams it takes: before them nobody knows.
    await tunnel.heard();
    if (tunnel.retiring) throw new DialError('upstream-unreachable', 'the connection ended before its first answer');
    this.#tunnels.add(tunnel);
    // What it was made with is not what is to be shown any more.
    if (epoch !== this.#epoch) tunnel.retire();
  }

  #remember(authority: string, reason: string): null {
    const holdoff = this.#refused.get(authority) ?? new Holdoff();
    this.#refused.set(authority, holdoff);
    holdoff.failed();
    this.#log.info({ address: formatAddress(this.target.address), authority, reason }, 'HBONE stream refused; calls go by mutual TLS on the service’s port');
    return null;
  }
}
