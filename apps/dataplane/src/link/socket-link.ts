import type { Socket } from 'node:net';
import type { Link, LinkUser } from './link.ts';
import { flushSoon, hasRead, type Sender } from './turn.ts';

/** More than this unsent and the writer is asked to wait. */
const HIGH_WATER = 64 * 1024;
/** Up to this size pieces are copied into one: a second write costs more than the copy. */
const COPY_BELOW = 32 * 1024;

/** How long the rest of what the peer sends is read and thrown away before we close. */
const LINGER_MS = 2_000;

/** A {@link Link} over a socket of Node, which must allow half-open connections if its user wants them. */
export class SocketLink implements Link, Sender {
  readonly socket: Socket;
  /** Asked each time: a carrier that is there only for want of a better one retires when that is there. */
  isRetiring: () => boolean = () => false;
  #user: LinkUser | null = null;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #waited = false;
  #ending = false;
  #closeWhenSent = false;
  #error: Error | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', (error) => {
      this.#error ??= error;
    });
  }

  get retiring(): boolean {
    return this.isRetiring();
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.socket.remotePort;
  }

  get localAddress(): string | undefined {
    return this.socket.localAddress;
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  attach(user: LinkUser): void {
    const { socket } = this;
    const first = this.#user === null;
    this.#user = user;
    // What a former user heard, or nobody, is told again: nothing else will say it.
    if (socket.closed) return queueMicrotask(() => this.#tellClosed());
    if (socket.readableEnded) queueMicrotask(() => this.#user?.onEnd());
    if (!first) return;
    socket.on('data', (chunk: Buffer) => {
      hasRead();
      if (!this.#closeWhenSent) this.#user?.onData(chunk);
    });
    socket.once('end', () => {
      if (!this.#closeWhenSent) this.#user?.onEnd();
    });
    socket.on('drain', () => this.#drained());
    socket.once('close', () => this.#tellClosed());
  }

  write(data: Buffer): boolean {
    if (this.#ending || this.socket.destroyed || data.length === 0) return true;
    if (this.#pendingBytes === 0) flushSoon(this);
    this.#pending.push(data);
    this.#pendingBytes += data.length;
    const goesOn = this.#pendingBytes + this.socket.writableLength < HIGH_WATER;
    if (!goesOn) this.#waited = true;
    return goesOn;
  }

  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    if (this.#pendingBytes === 0) this.socket.end();
  }

  destroySoon(): void {
    if (this.#closeWhenSent) return;
    this.#closeWhenSent = true;
    this.#ending = true;
    if (this.#pendingBytes === 0) this.#endAndClose();
  }

  destroy(reset = false): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.socket.destroyed) return;
    if (reset) closeByReset(this.socket);
    else this.socket.destroy();
  }

  pause(): void {
    if (!this.#closeWhenSent) this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Hands over what was written since the last time. */
  flush(): void {
    const pending = this.#pending;
    const bytes = this.#pendingBytes;
    const { socket } = this;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (pending.length === 0 || socket.destroyed) return;
    if (pending.length === 1) socket.write(pending[0]!);
    else if (bytes <= COPY_BELOW) socket.write(Buffer.concat(pending, bytes));
    else this.#writeAll(pending);
    if (this.#closeWhenSent) this.#endAndClose();
    else if (this.#ending) socket.end();
    // Node tells of a drain only after a write that it refused.
    if (!socket.writableNeedDrain) this.#drained();
  }

  #writeAll(pieces: readonly Buffer[]): void {
    const { socket } = this;
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }

  /** A socket that closes on bytes that nobody read sends a reset, which takes from the peer what it has not read yet. */
  #endAndClose(): void {
    const { socket } = this;
    socket.end();
    if (socket.readableEnded || socket.destroyed) return socket.destroySoon();
    const linger = () => {
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => clearTimeout(timer));
    };
    socket.once('end', () => socket.destroySoon());
    if (socket.writableFinished) linger();
    else socket.once('finish', linger);
    socket.resume();
  }

  #drained(): void {
    if (!this.#waited) return;
    this.#waited = false;
    this.#user?.onDrain();
  }

  #tellClosed(): void {
    const user = this.#user;
    this.#user = null;
    this.#pending = [];
    this.#pendingBytes = 0;
    user?.onClose(this.#error);
  }
}

/**
 * RFC 9293 §3.10.5: an abort sends a reset. Over TLS too: Node takes a FIN without close_notify for a good end.
 */
function closeByReset(socket: Socket): void {
  // The TCP socket under a TLS one has no public name in Node 24.
  const carrier = (socket as { _parent?: Socket | null })._parent ?? socket;
  // Unix sockets know no reset, and have no address; a socket that is sending its FIN cannot be reset.
  const canReset = carrier.remoteAddress !== undefined && (!socket.writableEnded || socket.writableFinished);
  if (!canReset) return void socket.destroy();
  if (carrier === socket) return void socket.resetAndDestroy();
  // TLS must close what it wraps by itself: anything else frees memory that it still uses.
  const destroy = carrier.destroy.bind(carrier);
  carrier.destroy = () => {
    carrier.destroy = destroy;
    return carrier.resetAndDestroy();
  };
  socket.destroy();
}
