import { HboneStream, type StreamCarrier } from '../hbone/stream.ts';
import { type Connection, ERROR, type Field, type MessageHead, type Removal, type Stream } from '../wire/index.ts';
import type { SwitchedUpstream, Trailers, Upstream, UpstreamUser } from './exchange.ts';
import { H2Body } from './h2-body.ts';
import { isIdempotent } from './idempotent.ts';
import { type Answered, H2Response } from './h2-message.ts';

const NOTHING = Buffer.alloc(0);

/** A call that the other side took back, or that broke with its connection. */
export class H2Failure extends Error {
  override readonly name = 'H2Failure';
  /** RFC 9113 §7. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** What an outgoing call needs of the connection that carries it. */
export interface Carriage extends StreamCarrier<OutgoingCall> {
  readonly connection: Connection<OutgoingCall>;
  /** How often bytes were handed over: a call that was opened since the last time has not left. */
  readonly flushes: number;
}

/** A call that we make by HTTP/2. It waits for a connection first, and what is written meanwhile waits with it. */
export class OutgoingCall implements Upstream {
  readonly head: readonly Field[];
  /** True when nothing follows the head. */
  readonly headOnly: boolean;
  readonly #user: UpstreamUser;
  readonly #to: Answered;
  readonly #leave: (call: OutgoingCall) => void;
  readonly #body = new H2Body(false);
  #carriage: Carriage | null = null;
  #stream: Stream<OutgoingCall> | null = null;
  #openedAt = 0;
  #early: Buffer[] = [];
  #earlyEnd: readonly Field[] | null = null;
  #answered = false;
  #over = false;
  /** The bytes after a switch, RFC 8441 §5. */
  #tunnel: HboneStream<OutgoingCall> | null = null;

  /** @param leave called once, when the call is over or given up */
  constructor(head: readonly Field[], headOnly: boolean, to: Answered, user: UpstreamUser, leave: (call: OutgoingCall) => void) {
    this.head = head;
    this.headOnly = headOnly;
    this.#to = to;
    this.#user = user;
    this.#leave = leave;
    this.#body.attach({
      onBody: (data) => user.onBody(data),
      onEnd: (trailers) => {
        user.onEnd(trailers);
        this.#finish();
      },
    });
  }

  /** The connection has room: the head goes out, and all that waited. False when it has none after all. */
  begin(carriage: Carriage): boolean {
    const { connection } = carriage;
    if (this.#to.webSocketAccept !== null && !connection.canExtend) {
      queueMicrotask(() => this.fail(new Error('the application takes no WebSockets over HTTP/2'), false));
      return true;
    }
    const stream = connection.open(this.head, this.headOnly, this);
    if (stream === null) return false;
    this.#carriage = carriage;
    this.#stream = stream;
    this.#openedAt = carriage.flushes;
    const waited = this.#early.length > 0;
    let goesOn = true;
    for (const piece of this.#early) goesOn = connection.write(stream, piece, false);
    this.#early = [];
    if (this.#earlyEnd !== null) this.#sendEnd(this.#earlyEnd);
    else if (waited && goesOn) this.#user.onDrain();
    return true;
  }

  write(data: Buffer): boolean {
    if (this.#stream !== null && this.#carriage !== null) return this.#carriage.connection.write(this.#stream, data, false);
    if (!this.#over) this.#early.push(data);
    return this.#over;
  }

  end(trailers: Trailers | null, removal: Removal): void {
    const fields = trailers?.toHttp2(removal) ?? [];
    if (this.#stream === null) this.#earlyEnd = fields;
    else this.#sendEnd(fields);
  }

  pause(): void {
    this.#body.pause();
  }

  resume(): void {
    this.#body.resume();
  }

  consume(bytes: number): void {
    if (this.#stream !== null) this.#carriage?.connection.consume(this.#stream, bytes);
  }

  /** RFC 9113 §7: CANCEL, "the stream is no longer needed". */
  abort(): void {
    if (this.#over) return;
    this.#end();
    if (this.#stream !== null) this.#carriage?.connection.reset(this.#stream, ERROR.CANCEL);
  }

  switchProtocol(): SwitchedUpstream {
    if (this.#carriage === null || this.#stream === null) throw new Error('nothing was switched');
    this.#over = true;
    this.#tunnel = new HboneStream(this.#carriage, this.#stream, () => this.#leave(this));
    return { link: this.#tunnel, rest: NOTHING, ended: () => undefined };
  }

  takeHead(head: MessageHead, end: boolean): void {
    const response = new H2Response(head, this.#to, end);
    // RFC 9113 §8.6 took 101 away, so any 1xx is an interim answer.
    if (head.status < 200) return this.#user.onInterim(response);
    if (response.status === 101) return this.#switch(response, end);
    this.#answered = true;
    if (end) this.#body.ended = true;
    this.#user.onResponse(response, end);
    if (end) this.#finish();
  }

  #switch(response: H2Response, end: boolean): void {
    this.#answered = true;
    this.#user.onResponse(response, false);
    if (end) this.#tunnel?.onData(NOTHING, true);
  }

  takeData(data: Buffer, end: boolean): void {
    if (this.#tunnel !== null) return this.#tunnel.onData(data, end);
    if (this.#over) this.consume(data.length);
    else this.#body.take(data, end);
  }

  takeTrailers(fields: readonly Field[]): void {
    if (this.#tunnel === null) this.#body.takeTrailers(fields);
    else this.#tunnel.onData(NOTHING, true);
  }

  drained(): void {
    if (this.#tunnel !== null) this.#tunnel.onDrain();
    else if (!this.#over) this.#user.onDrain();
  }

  /** The stream is gone. `retryable`: the peer says that it did nothing with it. */
  wasReset(code: number, retryable: boolean, reason: string): void {
    if (this.#tunnel !== null) return this.#tunnel.onReset(code);
    if (this.#over) return;
    // RFC 9113 §8.1: after a complete answer a reset without error only asks for no more of the request: "Clients MUST NOT discard responses as a result".
    if (this.#stream?.remoteEnded === true) return;
    const left = this.#carriage !== null && this.#carriage.flushes > this.#openedAt;
    this.fail(new H2Failure(code, reason), !this.#answered && (retryable || !left || this.#wasStale(code)));
  }

  /** A connection that carried other calls may have been closed just before it was used: what HTTP/1 forgives is forgiven here. */
  #wasStale(code: number): boolean {
    const closed = this.#carriage?.connection.closed === true && code === ERROR.NO_ERROR;
    return closed && this.#stream !== null && this.#stream.id > 1 && this.headOnly && isIdempotent(this.#to.method);
  }

  fail(error: Error, untouched: boolean): void {
    if (this.#over) return;
    this.#end();
    this.#user.onFailed(error, untouched);
  }

  #sendEnd(fields: readonly Field[]): void {
    if (this.#stream === null || this.#carriage === null) return;
    if (fields.length > 0) this.#carriage.connection.trailers(this.#stream, fields);
    else this.#carriage.connection.write(this.#stream, NOTHING, true);
  }

  /** The answer is complete: what is left of the request has no reader. */
  #finish(): void {
    if (this.#over) return;
    this.#end();
    if (this.#stream !== null && !this.#stream.localEnded) this.#carriage?.connection.reset(this.#stream, ERROR.NO_ERROR);
  }

  #end(): void {
    this.#over = true;
    this.#body.drop();
    this.#early = [];
    if (this.#stream !== null) this.consume(this.#stream.unread);
    this.#leave(this);
  }
}
