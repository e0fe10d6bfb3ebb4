import type { Link } from '../link/link.ts';
import { compileRemoval, ERROR, type Removal } from '../wire/index.ts';
import type { Downstream, DownstreamUser, Edits, RequestMessage, ResponseMessage, Trailers, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';
import { H2Failure } from './h2-outgoing.ts';

/** So much of a body is kept until an answer comes, so that a request that reached nobody can be sent again. */
const MAX_KEPT = 128 * 1024;

/** By trailers nobody states an identity or a verdict: some would read them as if they were headers. */
export const RESERVED: Removal = compileRemoval(['x-forwarded-client-cert'], ['x-sallyport-']);

/** In which form a request goes on. */
export interface ForwardPlan {
  readonly request: RequestMessage;
  readonly target: string;
  readonly edits: Edits;
  /** What is not passed on of the request's trailers. */
  readonly trailers: Removal;
}

/** Where a request goes. */
export interface Hop {
  readonly pool: UpstreamPool;
  /** What becomes of the answer's head. */
  readonly answer: Edits;
}

/** How forwarding ended. `unreachable`: nothing was answered, and the caller of `forward` must answer. */
export interface ForwardOutcome {
  readonly kind: 'answered' | 'unreachable' | 'abandoned';
  readonly error: Error | null;
  readonly received: number;
  readonly sent: number;
}

export interface ForwardUser {
  /** Nobody took anything of the request: where to send it now, or null. Asked once. */
  again(error: Error): Hop | null;
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
  /** Null when it cannot be sent again. */
  #kept: Buffer[] | null = [];
  #requestEnded = false;
  #answered = false;
  #repeated = false;
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
  }

  // The request.

  takeBody(data: Buffer): void {
    if (this.#over) return;
    this.#received += data.length;
    if (this.#kept !== null && this.#received > MAX_KEPT) this.#kept = null;
    this.#kept?.push(data);
    if (this.#upstream?.write(data) === false) this.#call.pause();
    this.#call.consume(data.length);
  }

  takeEnd(trailers: Trailers | null): void {
    if (this.#over) return;
    this.#requestEnded = true;
    // Trailers can be read but once.
    if (trailers !== null) this.#kept = null;
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
    this.#answered = true;
    this.#kept = null;
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
    const hop = untouched && !this.#repeated && this.#kept !== null ? this.#user.again(error) : null;
    if (hop === null) return this.#finish('unreachable', error);
    this.#hop = hop;
    this.#repeat(this.#kept ?? []);
  }

  #repeat(kept: readonly Buffer[]): void {
    this.#repeated = true;
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

  #finish(kind: ForwardOutcome['kind'], error: Error | null): void {
    this.#over = true;
    this.#kept = null;
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
