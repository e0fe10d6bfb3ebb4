import type { Link, LinkUser } from '../link/link.ts';
import { BODY, type Fields, type RequestHead, RequestReader } from '../wire/index.ts';
import type { Downstream } from './exchange.ts';
import { type CallCarrier, Http1Call } from './http1-call.ts';
import { Http1Request } from './http1-message.ts';
import { refusalOfBytes } from './own-response.ts';
import { follow, forget, type Ticking } from './sweeper.ts';

/** All in seconds. How long a head may take from its first byte on. */
const HEAD_S = 10;
/** Longer than our clients keep an idle connection (http1-pool.ts), so that they and not we close it first. */
const IDLE_S = 75;
/** A caller sends nothing that it could not send again on a connection that was idle for this long (http1-pool.ts): then it may go. */
const LATELY_S = 3;
/** Without a byte for this long while the application waits for a body, the caller counts as gone. */
const BODY_S = 300;
/** A whole request may take as long as a connection may live. */
const REQUEST_S = 3_600;
/** Whoever takes nothing of an answer for this long does not read it. */
const READER_S = 300;

/** Whoever serves the calls of a connection. */
export interface Http1ServerUser {
  onCall(call: Downstream): void;
  /** The peer broke the rules where there is no call that could be blamed. It was answered. */
  onMalformed(reason: string): void;
  /** A failure of this program itself; the connection is broken. */
  onDefect(error: unknown): void;
  /** The connection is over, or speaks another protocol and is somebody else's. */
  onClose(): void;
}

/** Serves one connection of HTTP/1, RFC 9112: one call at a time, in order. */
export class Http1Server implements LinkUser, CallCarrier, Ticking {
  readonly #link: Link;
  readonly #user: Http1ServerUser;
  readonly #reader: RequestReader;
  #call: Http1Call | null = null;
  #paused = false;
  /** True while the link asks us to wait before more is written. */
  #blocked = false;
  #closing = false;
  #over = false;
  #retired = false;
  /** Seconds without a byte from the caller, without room for one to it, inside of one head, and with one call. */
  #quiet = 0;
  #stuck = 0;
  #heading = 0;
  #calling = 0;

  constructor(link: Link, user: Http1ServerUser) {
    this.#link = link;
    this.#user = user;
    this.#reader = new RequestReader({
      onHead: (head) => this.#begin(head),
      onBody: (data) => this.#call?.takeBody(data),
      onEnd: (trailers) => this.#bodyEnded(trailers),
      onRefused: ({ status, reason }) => this.#refuse(status, reason),
    });
  }

  /** Begins to read. */
  start(): void {
    follow(this);
    this.#link.attach(this);
  }

  /** True while a call is open. */
  get busy(): boolean {
    return this.#call !== null;
  }

  get retiring(): boolean {
    return this.#retired || this.#link.retiring;
  }

  /** Ends after the call that is open; without one when none has come lately, as one may be on its way. */
  retire(): void {
    this.#retired = true;
    if (this.#call === null && this.#quiet >= LATELY_S) this.#close();
  }

  destroy(): void {
    this.#link.destroy(this.#call !== null);
  }

  // The link.

  onData(chunk: Buffer): void {
    if (this.#closing) return;
    this.#quiet = 0;
    try {
      this.#reader.receive(chunk);
      this.#balance();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A caller that sends no more has gone: nearly none half-closes, and the application should not work for nobody. */
  onEnd(): void {
    this.#guarded(() => {
      const call = this.#call;
      if (call === null) {
        this.#reader.end();
        return this.#close();
      }
      this.#break(call.answering);
      call.lost();
    });
  }

  onDrain(): void {
    this.#blocked = false;
    this.#guarded(() => {
      if (this.#call === null) this.#next();
      else this.#call.drained();
    });
  }

  onClose(): void {
    const call = this.#call;
    this.#call = null;
    this.#guarded(() => call?.lost());
    this.#leave();
  }

  // The call.

  write(data: Buffer): boolean {
    const goesOn = this.#link.write(data);
    if (!goesOn) {
      this.#blocked = true;
      this.#stuck = 0;
    }
    return goesOn;
  }

  read(wanted: boolean): void {
    if (!wanted) return this.#reader.pause();
    this.#quiet = 0;
    this.#reader.resume();
    this.#balance();
  }

  finished(close: boolean): void {
    this.#call = null;
    if (close || this.retiring) return this.#close();
    this.#quiet = 0;
    // Whoever sends requests and reads no answers gets no more of them.
    if (!this.#blocked) this.#next();
  }

  break(): void {
    this.#break(true);
  }

  detach(): { readonly link: Link; readonly rest: Buffer } {
    const rest = this.#reader.takeRest();
    this.#call = null;
    this.#closing = true;
    this.#leave();
    if (this.#paused) this.#link.resume();
    return { link: this.#link, rest };
  }

  // The clock.

  elapsed(): void {
    this.#quiet += 1;
    this.#stuck = this.#blocked || this.#closing ? this.#stuck + 1 : 0;
    if (this.#stuck > READER_S) this.#link.destroy(true);
    else if (!this.#closing) this.#guarded(() => (this.#call === null ? this.#elapsedBetween() : this.#elapsedIn(this.#call)));
  }

  #elapsedBetween(): void {
    this.#heading = this.#reader.begun && !this.#blocked ? this.#heading + 1 : 0;
    if (this.#heading >= HEAD_S) this.#refuse(408, 'the head takes too long');
    else if (this.#quiet >= (this.#retired ? LATELY_S : IDLE_S) && !this.#blocked) this.#close();
  }

  #elapsedIn({ bodyEnded, reading }: Http1Call): void {
    this.#calling += 1;
    if (bodyEnded) return;
    if ((reading && this.#quiet >= BODY_S) || this.#calling >= REQUEST_S) this.#refuse(408, 'the body takes too long');
  }

  #begin(head: RequestHead): void {
    const call = new Http1Call(this, new Http1Request(head), head.persistent);
    this.#call = call;
    this.#calling = 0;
    this.#heading = 0;
    if (head.body !== BODY.NONE) this.#reader.pause();
    this.#user.onCall(call);
  }

  #bodyEnded(trailers: Fields | null): void {
    if (this.#call?.bodyEnded === false) this.#call.takeEnd(trailers);
  }

  #next(): void {
    if (this.#closing) return;
    // The last piece of a body may have been one too many for whoever took it.
    this.#reader.resume();
    this.#reader.next();
    this.#balance();
  }

  /** Takes from the link what the reader can use, and no more. */
  #balance(): void {
    const { full } = this.#reader;
    if (full === this.#paused || this.#over) return;
    this.#paused = full;
    if (full) this.#link.pause();
    else this.#link.resume();
  }

  /** An answer that has begun must not be mixed with ours. */
  #refuse(status: number, reason: string): void {
    if (this.#closing) return;
    const call = this.#call;
    if (call?.answering === true) {
      this.#break(true);
    } else {
      this.#call = null;
      this.#link.write(refusalOfBytes(status, reason));
      this.#close();
    }
    // The broken body of a request that is counted already is not one more call.
    if (call === null) this.#user.onMalformed(reason);
    else call.lost();
  }

  #break(reset: boolean): void {
    this.#closing = true;
    this.#call = null;
    this.#link.destroy(reset);
  }

  /** What was written still goes out. */
  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#stuck = 0;
    this.#link.destroySoon();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#closing = true;
    forget(this);
    this.#user.onClose();
  }

  /** Nothing may throw into the event loop: that would end the process. */
  #guarded(act: () => void): void {
    try {
      act();
      this.#balance();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const call = this.#call;
    this.#break(true);
    this.#user.onDefect(error);
    call?.lost();
  }
}
