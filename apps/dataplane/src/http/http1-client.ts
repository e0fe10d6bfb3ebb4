import type { Link, LinkUser } from '../link/link.ts';
import { connectionAge } from '../listener/retirement.ts';
import { BODY, type Fields, type ResponseHead, ResponseReader } from '../wire/index.ts';
import type { SwitchedUpstream } from './exchange.ts';
import { Http1Response, Http1Trailers } from './http1-message.ts';
import type { Http1Outgoing, OutgoingCarrier } from './http1-outgoing.ts';
import { InvalidAnswer } from './invalid-answer.ts';
import { follow, forget, type Ticking } from './sweeper.ts';

/** All in seconds. Shorter than any server of ours keeps an idle connection: the client closes first and no request meets a closed one. */
const IDLE_S = 30;
/** How much sooner than the server an idle connection is given up: what is on its way then still comes before its end. */
const AHEAD_S = 2;
/** Without a byte for this long the upstream counts as gone. */
const ANSWER_S = 300;

/** What a connection tells the pool that made it. */
export interface ClientUser {
  /** Its call is over, and it can carry another. */
  free(client: Http1Client): void;
  /** It carries nothing any more. Comes once. */
  gone(client: Http1Client): void;
  /** The same for one whose link lives on in other hands. Gives what is to be called when that ends. */
  detached(client: Http1Client): () => void;
  /** A failure of this program itself; the connection and its call are broken. */
  readonly defect: (error: unknown) => void;
}

/** One connection to an upstream, which carries one call at a time. RFC 9112 §9.3. */
export class Http1Client implements LinkUser, OutgoingCarrier, Ticking {
  readonly #link: Link;
  readonly #user: ClientUser;
  readonly #reader: ResponseReader;
  readonly #maxAge = connectionAge() / 1000;
  #call: Http1Outgoing | null = null;
  #persistent = true;
  #untilClose = false;
  #used = false;
  #linkPaused = false;
  #over = false;
  #ended = false;
  #age = 0;
  /** How long the server says that it waits for the next request. */
  #keptFor = Number.POSITIVE_INFINITY;
  #quiet = 0;

  constructor(link: Link, user: ClientUser) {
    this.#link = link;
    this.#user = user;
    this.#reader = new ResponseReader({
      onHead: (head) => this.#head(head),
      onBody: (data) => this.#call?.takeBody(data),
      onEnd: (trailers) => this.#end(trailers),
      onRefused: ({ reason }) => this.#refuse(reason),
    });
  }

  start(): void {
    follow(this);
    this.#link.attach(this);
  }

  /** True when it can carry a call. */
  get usable(): boolean {
    return !this.#over && this.#call === null && !this.#link.destroyed && !this.#link.retiring && this.#age < this.#maxAge;
  }

  /** Seconds since it was used, between calls: one more than are told may have gone by. */
  get idle(): number {
    return this.#quiet;
  }

  begin(call: Http1Outgoing): void {
    this.#call = call;
    this.#quiet = 0;
    this.#reader.expect(call.method);
    call.begin(this, this.#used);
    this.#used = true;
    if (!call.reading) this.read(false);
  }

  /** Waits for the next call, and may be closed by the other side while it does. */
  park(): void {
    this.#used = true;
  }

  // The call.

  write(data: Buffer): boolean {
    this.#quiet = 0;
    return this.#link.write(data);
  }

  read(wanted: boolean): void {
    if (!wanted) {
      this.#reader.pause();
      this.#pauseLink(true);
      return;
    }
    this.#quiet = 0;
    this.#pauseLink(false);
    this.#guarded(() => this.#reader.resume());
  }

  destroy(): void {
    this.#call = null;
    this.#leave();
    this.#link.destroy();
  }

  detach(): SwitchedUpstream {
    const rest = this.#reader.takeRest();
    this.#call = null;
    this.#over = true;
    forget(this);
    const ended = this.#user.detached(this);
    this.#pauseLink(false);
    return { link: this.#link, rest, ended };
  }

  // The link.

  onData(chunk: Buffer): void {
    if (this.#over) return;
    // Bytes that nobody asked for are the start of an answer to nobody: RFC 9112 §9.2.
    if (this.#call === null) return this.destroy();
    this.#quiet = 0;
    this.#call.touched = true;
    try {
      this.#reader.receive(chunk);
    } catch (error) {
      this.#broken(error);
    }
  }

  onEnd(): void {
    this.#ended = true;
    if (this.#call === null) return this.destroy();
    this.#guarded(() => this.#reader.end());
  }

  onDrain(): void {
    this.#quiet = 0;
    this.#guarded(() => this.#call?.drained());
  }

  onClose(error: Error | null): void {
    if (this.#over) return;
    if (this.#call === null) return this.#leave();
    // Only an end in good order ends a body without a length; otherwise what was read before may still be complete.
    if (this.#untilClose && (error !== null || !this.#ended)) return this.#fail(error ?? new Error('the connection broke'));
    this.#guarded(() => this.#reader.end());
    if (this.#call !== null && this.#call.reading) this.#fail(error ?? new Error('the connection was closed'));
  }

  // The clock.

  elapsed(): void {
    this.#age += 1;
    this.#quiet += 1;
    if (this.#call === null) {
      if (this.#quiet >= Math.min(IDLE_S, Math.max(1, this.#keptFor - AHEAD_S)) || this.#link.retiring) this.destroy();
    } else if (this.#quiet >= ANSWER_S && this.#call.reading) {
      this.#guarded(() => this.#fail(new Error('the upstream sent nothing for too long')));
    }
  }

  #head(head: ResponseHead): void {
    const call = this.#call;
    if (call === null) return;
    const response = new Http1Response(head);
    if (head.status < 200 && head.status !== 101) return call.takeInterim(response);
    if (head.status === 101 && !call.webSocket) return this.#fail(new InvalidAnswer('it switched protocols unasked'));
    this.#keptFor = head.keptFor;
    this.#persistent = head.persistent && head.status !== 101 && this.#keptFor >= AHEAD_S;
    if (head.status === 101) return call.takeResponse(response, false);
    this.#untilClose = head.body === BODY.UNTIL_CLOSE;
    const end = head.body === BODY.NONE;
    if (end) this.#release(call);
    call.takeResponse(response, end);
  }

  /** Before the call hears of it: what it does next may want a connection. */
  #end(trailers: Fields | null): void {
    const call = this.#call;
    if (call === null) return;
    this.#release(call);
    call.takeEnd(trailers === null ? null : new Http1Trailers(trailers));
  }

  /** RFC 9112 §9.3.2: a connection whose request was not sent to its end, or that has more to say, cannot be used again. */
  #release(call: Http1Outgoing): void {
    this.#call = null;
    this.#quiet = 0;
    if (!call.reading) this.read(true);
    if (!call.sent || !this.#persistent || this.#reader.begun || !this.usable) this.destroy();
    else this.#user.free(this);
  }

  #broken(error: unknown): void {
    this.#user.defect(error);
    this.#fail(error as Error);
  }

  /** A connection that ends before anything came is no answer at all. */
  #refuse(reason: string): void {
    this.#fail(this.#call?.touched === true ? new InvalidAnswer(reason) : new Error('the connection was closed'));
  }

  #fail(error: Error): void {
    const call = this.#call;
    this.#call = null;
    this.destroy();
    call?.fail(error);
  }

  #pauseLink(paused: boolean): void {
    if (paused === this.#linkPaused) return;
    this.#linkPaused = paused;
    if (paused) this.#link.pause();
    else this.#link.resume();
  }

  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    forget(this);
    this.#user.gone(this);
  }

  /** Nothing may throw into the event loop: that would end the process. */
  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#broken(error);
    }
  }
}
