import type { Link } from '../link/link.ts';
import { ReplayBuffer } from '../traffic/replay.ts';
import { compileRemoval, ERROR, type Removal } from '../wire/index.ts';
import type { Downstream, DownstreamUser, Edits, RequestMessage, ResponseMessage, Trailers, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';
import { H2Failure } from './h2-outgoing.ts';
import type { MirrorCopy } from './mirror-copy.ts';

/** By trailers nobody states an identity or a verdict: some would read them as if they were headers. */
export const RESERVED: Removal = compileRemoval(['x-forwarded-client-cert'], ['x-sallyport-']);

/** In which form a request goes on. */
export interface ForwardPlan {
  readonly request: RequestMessage;
  readonly target: string;
  readonly edits: Edits;
  /** What is not passed on of the request's trailers. */
  readonly trailers: Removal;
  /** Gets the body too. */
  readonly copy: MirrorCopy | null;
}

/** Where a request goes. */
export interface Hop {
  readonly pool: UpstreamPool;
  /** What becomes of the answer's head. */
  readonly answer: Edits;
  /** Ms until the answer's head must be here; Infinity for no limit. */
  readonly patience: number;
}

/** No answer came in the time that the hop had. */
export class PatienceError extends Error {
  override readonly name = 'PatienceError';
}

/** How forwarding ended. `unreachable`: nothing was answered, and the caller of `forward` must answer. */
export interface ForwardOutcome {
  readonly kind: 'answered' | 'unreachable' | 'abandoned';
  readonly error: Error | null;
  readonly received: number;
  readonly sent: number;
}

export interface ForwardUser {
  /**
   * An attempt ended: with an answer of this status, of which the caller saw nothing yet, or with an error.
   *
   * @param untouched nobody took anything of the request
   * @param replayable it can be sent again as it was
   * @returns ms after which to try {@link next}; null to leave it at that
   */
  again(end: number | Error, untouched: boolean, replayable: boolean): number | null;
  /** Where to try now; null when there is nowhere. */
  next(): Hop | null;
  /** The answer's head came. True when the caller's connection is to end with it. */
  answered(response: ResponseMessage): boolean;
  finished(outcome: ForwardOutcome): void;
  /** The upstream switched protocols; both connections are the callee's, with the bytes that were passed on already. */
  switched(client: Link, upstream: Link, received: number, sent: number): void;
}

/** Streams a request to its upstream and the answer back, with back-pressure, trailers and interim answers. */
export function forward(call: Downstream, plan: ForwardPlan, hop: Hop, user: ForwardUser): void {
  new Forwarding(call, plan, hop, user).start();
}

class Forwarding implements UpstreamUser {
  readonly #call: Downstream;
  readonly #plan: ForwardPlan;
  readonly #user: ForwardUser;
  readonly #hasBody: boolean;
  #hop: Hop;
  #upstream: Upstream | null = null;
  readonly #kept = new ReplayBuffer();
  #timer: NodeJS.Timeout | null = null;
  #requestEnded = false;
  #answered = false;
  #over = false;
  #received = 0;
  #sent = 0;

  constructor(call: Downstream, plan: ForwardPlan, hop: Hop, user: ForwardUser) {
    this.#call = call;
    this.#plan = plan;
    this.#hop = hop;
    this.#user = user;
    this.#hasBody = !call.bodyEnded;
  }

  start(): void {
    this.#call.attach(new Sender(this));
    this.#send();
    if (this.#hasBody) this.#call.readBody();
  }

  #send(): void {
    const { request, target, edits } = this.#plan;
    this.#upstream = this.#hop.pool.call(request, target, edits, this.#hasBody, this);
    if (Number.isFinite(this.#hop.patience)) this.#timer = setTimeout(() => this.#lostPatience(), this.#hop.patience);
  }

  // The request.

  takeBody(data: Buffer): void {
    if (this.#over) return;
    this.#received += data.length;
    this.#kept.add(data);
    this.#plan.copy?.write(data);
    // Between two attempts there is nobody to give it to.
    if (this.#upstream === null || !this.#upstream.write(data)) this.#call.pause();
    this.#call.consume(data.length);
  }

  takeEnd(trailers: Trailers | null): void {
    if (this.#over) return;
    this.#requestEnded = true;
    // Trailers can be read but once.
    if (trailers !== null) this.#kept.drop();
    this.#plan.copy?.end();
    this.#upstream?.end(trailers, this.#plan.trailers);
  }

  callerDrained(): void {
    this.#upstream?.resume();
  }

  callerLeft(): void {
    if (this.#over) return;
    this.#upstream?.abort();
    this.#finish(this.#answered ? 'answered' : 'abandoned', null);
  }

  // The answer.

  onInterim(response: ResponseMessage): void {
    this.#call.interim(response);
  }

  onResponse(response: ResponseMessage, end: boolean): void {
    if (this.#over) return;
    this.#stopTimer();
    const wait = this.#user.again(response.status, false, this.#kept.chunks !== null);
    if (wait !== null) {
      this.#upstream?.abort();
      return this.#repeatAfter(wait, new Error(`the answer was ${response.status}`));
    }
    this.#answered = true;
    this.#kept.drop();
    if (response.status === 101) return this.#switch(response);
    const close = this.#user.answered(response);
    this.#call.respond(response, this.#hop.answer, { end, close });
    if (end) this.#finish('answered', null);
  }

  onBody(data: Buffer): void {
    if (this.#over) return;
    this.#sent += data.length;
    if (!this.#call.write(data)) this.#upstream?.pause();
    this.#upstream?.consume(data.length);
  }

  onEnd(trailers: Trailers | null): void {
    if (this.#over) return;
    this.#call.end(trailers, RESERVED);
    this.#finish('answered', null);
  }

  onDrain(): void {
    if (!this.#over) this.#call.resume();
  }

  onFailed(error: Error, untouched: boolean): void {
    if (this.#over) return;
    if (this.#answered) {
      // A body that stops short must not look complete to whoever reads it.
      this.#call.abort(codeFor(error));
      return this.#finish('answered', error);
    }
    this.#stopTimer();
    const wait = this.#user.again(error, untouched, this.#kept.chunks !== null);
    if (wait === null) return this.#finish('unreachable', error);
    this.#repeatAfter(wait, error);
  }

  #lostPatience(): void {
    this.#upstream?.abort();
    this.onFailed(new PatienceError(`no answer within ${Math.round(this.#hop.patience)} ms`), false);
  }

  #repeatAfter(wait: number, error: Error): void {
    this.#upstream = null;
    if (wait === 0) return this.#repeat(error);
    this.#timer = setTimeout(() => this.#repeat(error), wait);
  }

  #repeat(error: Error): void {
    const kept = this.#kept.chunks;
    // Too much may have come meanwhile.
    const hop = kept === null ? null : this.#user.next();
    if (kept === null || hop === null) return this.#finish('unreachable', error);
    this.#hop = hop;
    this.#send();
    let goesOn = true;
    for (const piece of kept) goesOn = this.#upstream?.write(piece) ?? true;
    if (this.#requestEnded) this.#upstream?.end(null, this.#plan.trailers);
    else if (goesOn && this.#hasBody) this.#call.resume();
  }

  #switch(response: ResponseMessage): void {
    this.#over = true;
    this.#call.respond(response, this.#hop.answer, { end: false, close: false });
    const client = this.#call.switchProtocol();
    const upstream = this.#upstream?.switchProtocol();
    if (upstream === undefined) return client.link.destroy();
    client.link.write(upstream.rest);
    upstream.link.write(client.rest);
    this.#user.switched(client.link, upstream.link, client.rest.length, upstream.rest.length);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #finish(kind: ForwardOutcome['kind'], error: Error | null): void {
    this.#over = true;
    this.#stopTimer();
    this.#kept.drop();
    if (this.#hasBody && !this.#requestEnded) this.#plan.copy?.stop();
    this.#user.finished({ kind, error, received: this.#received, sent: this.#sent });
  }
}

/**
 * What the caller is told of an answer that broke off. A service that cancels says so to gRPC's clients (RFC 9113 §7 CANCEL);
 * every other code is about our own connection to it, and REFUSED_STREAM would be a lie after an answer began.
 */
function codeFor(error: Error): number {
  return error instanceof H2Failure && error.code === ERROR.CANCEL ? ERROR.CANCEL : ERROR.INTERNAL_ERROR;
}

/** What the caller's side tells. */
class Sender implements DownstreamUser {
  readonly #forwarding: Forwarding;

  constructor(forwarding: Forwarding) {
    this.#forwarding = forwarding;
  }

  onBody(data: Buffer): void {
    this.#forwarding.takeBody(data);
  }

  onEnd(trailers: Trailers | null): void {
    this.#forwarding.takeEnd(trailers);
  }

  onDrain(): void {
    this.#forwarding.callerDrained();
  }

  onAbort(): void {
    this.#forwarding.callerLeft();
  }
}
