import type { Socket } from 'node:net';
import type { Link, LinkUser } from './link.ts';

/** More than this unsent and the writer is asked to wait. */
const HIGH_WATER = 64 * 1024;
/** Up to this size pieces are copied into one: a second write costs more than the copy. */
const COPY_BELOW = 32 * 1024;

/** Links that were written to in this turn of one callback. */
let dirty: SocketLink[] = [];

function flushDirty(): void {
  const links = dirty;
  dirty = [];
  for (const link of links) link.flush();
}

/** A {@link Link} over a socket of Node, which must allow half-open connections if its user wants them. */
export class SocketLink implements Link {
  readonly socket: Socket;
  readonly retiring = false;
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
      this.#error = error;
    });
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
    const first = this.#user === null;
    this.#user = user;
    const { socket } = this;
    if (!first) return;
    socket.on('data', (chunk: Buffer) => this.#user?.onData(chunk));
    socket.once('end', () => this.#user?.onEnd());
    socket.on('drain', () => this.#drained());
    if (socket.destroyed) queueMicrotask(() => this.#closed());
    else socket.once('close', () => this.#closed());
  }

  write(data: Buffer): boolean {
    if (this.#ending || this.socket.destroyed || data.length === 0) return true;
    if (this.#pendingBytes === 0) this.#schedule();
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
    this.#closeWhenSent = true;
    this.#ending = true;
    if (this.#pendingBytes === 0) this.socket.destroySoon();
  }

  destroy(reset = false): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    if (reset && 'resetAndDestroy' in this.socket && this.#isPlainTcp()) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Hands over what was written since the last time. For this module alone. */
  flush(): void {
    const pending = this.#pending;
    const { socket } = this;
    this.#pending = [];
    const bytes = this.#pendingBytes;
    this.#pendingBytes = 0;
    if (pending.length === 0 || socket.destroyed) return;
    const taken = pending.length === 1 ? socket.write(pending[0]!) : bytes <= COPY_BELOW ? socket.write(Buffer.concat(pending, bytes)) : this.#writeAll(pending);
    if (this.#ending) {
      if (this.#closeWhenSent) socket.destroySoon();
      else socket.end();
    }
    // Node tells of a drain only after a write that it refused.
    if (taken && this.#waited && socket.writableLength < HIGH_WATER) this.#drained();
  }

  #schedule(): void {
    if (dirty.length === 0) process.nextTick(flushDirty);
    dirty.push(this);
  }

  #writeAll(pieces: readonly Buffer[]): boolean {
    const { socket } = this;
    let taken = true;
    socket.cork();
    for (const piece of pieces) taken = socket.write(piece);
    socket.uncork();
    return taken;
  }

  #drained(): void {
    if (!this.#waited) return;
    this.#waited = false;
    this.#user?.onDrain();
  }

  #closed(): void {
    const user = this.#user;
    this.#user = null;
    this.#pending = [];
    this.#pendingBytes = 0;
    user?.onClose(this.#error);
  }

  #isPlainTcp(): boolean {
    return !('encrypted' in this.socket) && this.socket.remoteAddress !== undefined;
  }
}
