import type { Link } from '../link/link.ts';
import { ERROR, field, type Field, type MessageHead, type Stream } from '../wire/index.ts';
import type { Downstream } from './exchange.ts';
import { H2Call } from './h2-call.ts';
import { Carrier, type CarrierUser, WITH_CALLERS } from './h2-carrier.ts';

/** RFC 9113 §6.5.2 recommends 100 at least. */
const MAX_STREAMS = 250;
/** In seconds. Whoever takes nothing of an answer for this long does not read it, as with HTTP/1 (http1-server.ts). */
const READER_S = 300;

/** Whoever serves the calls of a connection. */
export interface H2ServerUser {
  onCall(call: Downstream): void;
  /** The peer broke the rules where no call was told of that could be blamed. */
  onMalformed(reason: string): void;
  /** A failure of this program itself; the connection is broken. */
  onDefect(error: unknown): void;
  /** The connection is over. */
  onClose(): void;
}

/** Serves one connection of HTTP/2 with prior knowledge, RFC 9113 §3.3. */
export class H2Server implements CarrierUser<H2Call> {
  readonly #carrier: Carrier<H2Call>;
  readonly #user: H2ServerUser;

  constructor(link: Link, user: H2ServerUser, maxStreams: number = MAX_STREAMS) {
    this.#user = user;
    this.#carrier = new Carrier<H2Call>(link, { role: 'server', maxStreams, extendedConnect: true, readerPatience: READER_S }, this, WITH_CALLERS);
  }

  /** Begins to read. */
  start(): void {
    this.#carrier.start();
  }

  /** True while a call is open. */
  get busy(): boolean {
    return this.#carrier.connection.streamCount > 0;
  }

  destroy(): void {
    this.#carrier.link.destroy(true);
  }

  /** Takes no new calls, and ends when those in flight have. */
  retire(): void {
    this.#carrier.retire();
  }

  onReady(): void {
    // Requests say it.
  }

  onHeaders(stream: Stream<H2Call>, head: MessageHead, end: boolean): void {
    if (!isServed(head)) {
      this.#carrier.connection.refuse(stream, NOT_SERVED);
      return this.#user.onMalformed('a request that is not served here');
    }
    const call = new H2Call(this.#carrier, stream, head, end, () => this.retire());
    stream.owner = call;
    this.#user.onCall(call);
  }

  onData({ owner }: Stream<H2Call>, data: Buffer, end: boolean): void {
    owner?.takeData(data, end);
  }

  onTrailers({ owner }: Stream<H2Call>, fields: readonly Field[]): void {
    owner?.takeTrailers(fields);
  }

  onReset({ owner }: Stream<H2Call>, code: number): void {
    owner?.wasReset(code);
  }

  onDrain({ owner }: Stream<H2Call>): void {
    owner?.drained();
  }

  onGoAway(): void {
    // A client says that it takes no pushes any more; we never push.
  }

  onRefused(reason: string, code: number, told: boolean): void {
    // A stream that was refused for want of room is nobody's fault.
    if (!told && code !== ERROR.REFUSED_STREAM) this.#user.onMalformed(reason);
  }

  onDefect(error: unknown): void {
    this.#user.onDefect(error);
  }

  onGone(code: number, reason: string): void {
    if (code !== ERROR.NO_ERROR) this.#user.onMalformed(reason);
    this.#user.onClose();
  }
}

const NOT_SERVED = [field(':status', '501'), field('content-length', '0'), field('x-sallyport-reason', 'bad-request')];

/** RFC 9110 §9.3.6: tunnels for others are not served, and RFC 9220 §3 has 501 for protocols that a server does not know. */
function isServed({ method, protocol }: MessageHead): boolean {
  return method !== 'CONNECT' || protocol.toLowerCase() === 'websocket';
}
