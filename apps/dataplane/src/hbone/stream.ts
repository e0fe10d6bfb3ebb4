import type { Link, LinkUser } from '../link/link.ts';
import { type Connection, ERROR, type Stream } from '../wire/index.ts';
import type { StreamOwner } from './tunnel.ts';

const NOTHING = Buffer.alloc(0);
/** How long the rest of what the peer sends is thrown away before the stream is reset. */
const LINGER_MS = 2_000;

/** The connection that a stream is of. */
export interface StreamCarrier<T> {
  readonly link: Link;
  readonly connection: Pick<Connection<T>, 'write' | 'consume' | 'reset'>;
  /** True when it should carry nothing new. */
  readonly retiring: boolean;
}

/**
 * One CONNECT stream as a {@link Link}. What comes while nobody reads waits here and holds the stream's window, so that its
 * sender stops and the other streams go on.
 */
export class HboneStream<T = StreamOwner> implements Link, StreamOwner {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly #tunnel: StreamCarrier<T>;
  readonly #stream: Stream<T>;
  readonly #onGone: () => void;
  #user: LinkUser | null = null;
  #arrived: Buffer[] = [];
  #ended = false;
  #endTold = false;
  #paused = false;
  #delivering = false;
  #ending = false;
  #waited = false;
  #closeWhenSent = false;
  #closed = false;
  #error: Error | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** @param onGone called once, when the stream carries nothing any more */
  constructor(tunnel: StreamCarrier<T>, stream: Stream<T>, onGone: () => void = () => undefined) {
    this.#tunnel = tunnel;
    this.#stream = stream;
    this.#onGone = onGone;
    const { remoteAddress, remotePort, localAddress } = tunnel.link;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.localAddress = localAddress;
  }

  /** The link that this one shares. */
  get carrier(): Link {
    return this.#tunnel.link;
  }

  get destroyed(): boolean {
    return this.#closed;
  }

  get retiring(): boolean {
    return this.#tunnel.retiring;
  }

  attach(user: LinkUser): void {
    this.#user = user;
    if (this.#closed) return queueMicrotask(() => this.#tellClosed());
    // What a former user heard is told again: nothing else will say it.
    if (this.#endTold) queueMicrotask(() => this.#user?.onEnd());
    else this.#deliverSoon();
  }

  write(data: Buffer): boolean {
    if (this.#ending || this.#closed || data.length === 0) return true;
    const sent = this.#tunnel.connection.write(this.#stream, data, false);
    if (!sent) this.#waited = true;
    return sent;
  }

  /** Half-close. RFC 9113 §8.5: "The equivalent of a TCP FIN … DATA frame with the END_STREAM flag set". */
  end(): void {
    if (this.#ending || this.#closed) return;
    this.#ending = true;
    this.#tunnel.connection.write(this.#stream, NOTHING, true);
    this.#settle();
  }

  /** As {@link end}, and what the peer still sends is thrown away. */
  destroySoon(): void {
    if (this.#closeWhenSent || this.#closed) return;
    this.#closeWhenSent = true;
    this.#discard();
    this.end();
    this.#deliver();
    this.#linger();
  }

  /**
   * Without `reset` as a socket closes: with a good end if all was sent. Resets without need would use up what the peer
   * allows of them (`wire/h2/budgets.ts`), and a pool that lets go of its idle links must not cost others their connection.
   */
  destroy(reset = false): void {
    if (this.#closed) return;
    this.#discard();
    if (reset || this.#stream.queued > 0) this.#tunnel.connection.reset(this.#stream, ERROR.CANCEL);
    else this.#tunnel.connection.write(this.#stream, NOTHING, true);
    this.#close(null);
    this.#linger();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#deliverSoon();
  }

  onHead(): void {
    // The head came before there was a link; another one means nothing.
  }

  onData(data: Buffer, end: boolean): void {
    if (end) this.#ended = true;
    if (data.length > 0) this.#arrived.push(data);
    if (this.#closeWhenSent || this.#closed) this.#discard();
    this.#deliver();
  }

  onReset(code: number): void {
    // RFC 9113 §8.1: after a complete answer NO_ERROR only asks to stop sending: what was received is not to be thrown away.
    if (code === ERROR.NO_ERROR && this.#ended) return this.#deliver();
    this.#discard();
    this.#stopLingering();
    this.#close(Object.assign(new Error(`the peer reset the stream (HTTP/2 error ${code})`), { code: 'ECONNRESET' }));
  }

  onDrain(): void {
    this.#settle();
    if (this.#closeWhenSent) this.#linger();
    if (!this.#waited || this.#closed) return;
    this.#waited = false;
    this.#user?.onDrain();
  }

  /** Not at once: whoever attaches or resumes is in the middle of something. */
  #deliverSoon(): void {
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#listening() && this.#arrived.length > 0) {
      const chunk = this.#arrived.shift()!;
      this.#user?.onData(chunk);
      this.#tunnel.connection.consume(this.#stream, chunk.length);
    }
    this.#delivering = false;
    if (!this.#ended || this.#endTold || this.#arrived.length > 0) return;
    if (this.#closeWhenSent) this.#endTold = true;
    else if (this.#listening()) {
      this.#endTold = true;
      this.#user?.onEnd();
    }
    this.#settle();
  }

  #listening(): boolean {
    return this.#user !== null && !this.#paused && !this.#closed && !this.#closeWhenSent;
  }

  /** Both sides ended, and ours was told. */
  #settle(): void {
    if (!this.#stream.closed) return;
    this.#stopLingering();
    if (this.#endTold) this.#close(null);
  }

  /** The peer may still send until it has seen our end; what comes is thrown away, and in the end the stream is reset. */
  #linger(): void {
    if (this.#timer || this.#stream.closed || !this.#stream.localEnded) return;
    this.#timer = setTimeout(() => {
      this.#tunnel.connection.reset(this.#stream, ERROR.CANCEL);
      this.#close(null);
    }, LINGER_MS);
    this.#timer.unref();
  }

  #stopLingering(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Bytes that nobody will read go back to the windows. */
  #discard(): void {
    for (const chunk of this.#arrived.splice(0)) this.#tunnel.connection.consume(this.#stream, chunk.length);
  }

  #close(error: Error | null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#onGone();
    queueMicrotask(() => this.#tellClosed());
  }

  #tellClosed(): void {
    const user = this.#user;
    this.#user = null;
    user?.onClose(this.#error);
  }
}
