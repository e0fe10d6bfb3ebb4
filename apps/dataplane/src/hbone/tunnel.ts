import type { Link, LinkUser } from '../link/link.ts';
import { flushSoon, type Sender } from '../link/turn.ts';
import { Connection, ERROR, type MessageHead, type Options, type Stream } from '../wire/index.ts';

/** What each stream may hold that its reader did not take yet, in each direction. */
const STREAM_WINDOW = 256 * 1024;
const MAX_STREAMS = 256;
/** As much as all streams together may hold: a reader that stands still must never stop the others. */
const CONNECTION_WINDOW = STREAM_WINDOW * MAX_STREAMS;
const PING_AFTER_S = 15;
const DEAD_AFTER_S = 30;

/** Whoever a stream's events go to. */
export interface StreamOwner {
  onHead(head: MessageHead): void;
  onData(data: Buffer, end: boolean): void;
  /** `untouched`: the peer did nothing with it. */
  onReset(code: number, untouched: boolean): void;
  onDrain(): void;
}

export type TunnelStream = Stream<StreamOwner>;

export interface TunnelHooks {
  /** A peer began a stream; gives its owner, or null when it was refused. For servers. */
  readonly onStream?: (stream: TunnelStream, head: MessageHead) => StreamOwner | null;
  readonly onClosed: () => void;
}

export interface TunnelLimits {
  /** When it has lived long enough, in ms since the epoch: peers are verified once. */
  readonly retireAt: number;
  /** Seconds without a stream after which it retires. */
  readonly idle: number;
}

/** One HTTP/2 connection over one verified TLS connection: all frames of an event-loop turn leave in one write. */
export class Tunnel implements LinkUser, Sender {
  readonly link: Link;
  readonly connection: Connection<StreamOwner>;
  readonly #hooks: TunnelHooks;
  readonly #limits: TunnelLimits;
  readonly #timer: NodeJS.Timeout;
  readonly #heard = new Set<() => void>();
  #scheduled = false;
  #blocked = false;
  #silent = 0;
  #idle = 0;
  #retiring = false;
  #shutDown = false;
  #goodbye = false;
  #gone = false;

  constructor(link: Link, role: Options['role'], limits: TunnelLimits, hooks: TunnelHooks) {
    this.link = link;
    this.#hooks = hooks;
    this.#limits = limits;
    const options = { role, maxStreams: MAX_STREAMS, streamWindow: STREAM_WINDOW, connectionWindow: CONNECTION_WINDOW };
    this.connection = new Connection<StreamOwner>(options, {
      onHeaders: (stream, head, end) => this.#headers(stream, head, end),
      onData: (stream, data, end) => stream.owner?.onData(data, end),
      // A tunnel's bytes have no trailers; the end that they carry counts.
      onTrailers: (stream) => stream.owner?.onData(NOTHING, true),
      onReset: (stream, code, untouched) => stream.owner?.onReset(code, untouched),
      onDrain: (stream) => stream.owner?.onDrain(),
      onGoAway: () => {
        this.#retiring = true;
        this.#checkUnused();
      },
      onRefused: () => undefined,
      onClosed: () => this.#sayGoodbye(),
      onOutput: () => this.#schedule(),
    });
    this.#timer = setInterval(() => this.#second(), 1_000);
    this.#timer.unref();
    link.attach(this);
    this.connection.start();
  }

  /** True when it takes no new streams any more. */
  get retiring(): boolean {
    return this.#retiring || this.#gone;
  }

  /** True when a stream can begin here. */
  get free(): boolean {
    return !this.retiring && this.connection.streamCount < MAX_STREAMS && this.connection.canOpen;
  }

  /** Takes no new streams, lets those that are open finish, then closes. */
  retire(): void {
    this.#retiring = true;
    if (this.#shutDown) return;
    this.#shutDown = true;
    this.connection.shutdown(() => this.#sayGoodbye());
  }

  /** Resolves when the peer has heard what was sent so far, or cannot any more. */
  heard(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#gone) return resolve();
      this.#heard.add(resolve);
      this.connection.ping(() => {
        this.#heard.delete(resolve);
        resolve();
      });
    });
  }
  /** Breaks everything at once. */
  destroy(): void {
    this.link.destroy(true);
    this.#leave();
  }

  onData(chunk: Buffer): void {
    this.#silent = 0;
    this.connection.receive(chunk);
  }

  onEnd(): void {
    this.link.destroySoon();
    this.#leave();
  }

  onDrain(): void {
    this.#blocked = false;
    this.flush();
  }

  onClose(): void {
    this.#leave();
  }

  /** Sends what waits, as long as the peer takes it. */
  flush(): void {
    this.#scheduled = false;
    if (this.#blocked || this.link.destroyed) return;
    for (const piece of this.connection.takeOutput()) if (!this.link.write(piece)) this.#blocked = true;
    if (this.#goodbye && this.connection.pendingBytes === 0) this.link.destroySoon();
  }

  #headers(stream: TunnelStream, head: MessageHead, end: boolean): void {
    if (stream.owner) stream.owner.onHead(head);
    else stream.owner = this.#hooks.onStream?.(stream, head) ?? null;
    if (end) stream.owner?.onData(NOTHING, true);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    flushSoon(this);
  }

  #second(): void {
    this.#silent += 1;
    this.#idle = this.connection.streamCount > 0 ? 0 : this.#idle + 1;
    this.connection.elapsed(1);
    if (this.#silent === PING_AFTER_S) this.connection.ping(() => undefined);
    if (this.#silent >= DEAD_AFTER_S) return this.destroy();
    if (this.#idle >= this.#limits.idle || Date.now() > this.#limits.retireAt) this.retire();
    this.#checkUnused();
  }

  /** After the peer's goodbye nothing begins: with the last stream the connection is done. */
  #checkUnused(): void {
    if (this.#retiring && this.connection.streamCount === 0) this.retire();
  }

  /** What is left to say is said, then the connection closes. */
  #sayGoodbye(): void {
    this.#goodbye = true;
    this.#schedule();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearInterval(this.#timer);
    this.connection.abort(ERROR.CONNECT_ERROR, 'the connection is gone');
    for (const resolve of this.#heard) resolve();
    this.#hooks.onClosed();
  }
}

const NOTHING = Buffer.alloc(0);
