import type { Link } from '../link/link.ts';
import { ReplayBuffer } from '../traffic/replay.ts';
import type { Removal } from '../wire/index.ts';
import { codeFor, lateTrailers, outcomeOf, PatienceError } from './endings.ts';
import type { AnswerHead, Downstream, DownstreamUser, Edits, RequestMessage, ResponseMessage, SwitchedUpstream, Trailers, Upstream, UpstreamPool, UpstreamUser } from './exchange.ts';
import type { MirrorCopy } from './mirror-copy.ts';
import { RESERVED } from './reserved.ts';

/** Ends of calls come in so many ms at once: timers of many lengths cost more than those of a few. */
const END_STEP_MS = 16;

/** In which form a request goes on. */
export interface ForwardPlan {
  readonly request: RequestMessage;
  readonly target: string;
  /** What is not passed on of the request's trailers. */
  readonly trailers: Removal;
  /** Gets the body too. */
  readonly copy: MirrorCopy | null;
  /** When the whole call must be over, by `performance.now()`; Infinity for no limit. */
  readonly deadline: number;
}

/** Where a request goes. */
export interface Hop {
  readonly pool: UpstreamPool;
  /** What becomes of the request's head. */
  readonly edits: Edits;
  /** What becomes of the answer's head. */
  readonly answer: Edits;
  /** Ms until the answer's head must be here; Infinity for no limit. */
  readonly patience: number;
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
   * An attempt ended: with this answer, of which the caller saw nothing yet, or with an error.
   *
   * @param untouched nobody took anything of the request
   * @param replayable it can be sent again as it was
   * @returns ms after which to try {@link next}; null to leave it at that
   */
  again(end: AnswerHead | Error, untouched: boolean, replayable: boolean): number | null;
  /** True when trailers that come together with their head may say that the attempt failed. */
  readonly readsTrailers: boolean;
  /** Where to try now; null when there is nowhere. */
  next(): Hop | null;
  /** The answer's head came. True when the caller's connection is to end with it. */
  answered(response: ResponseMessage): boolean;
  finished(outcome: ForwardOutcome): void;
  /** The upstream switched protocols; both connections are the callee's. The bytes that came already were passed on. */
  switched(client: Link, upstream: SwitchedUpstream, received: number): void;
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
  #end: NodeJS.Timeout | null = null;
  #requestEnded = false;
  #answered = false;
  #held: ResponseMessage | null = null;
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
    const { deadline } = this.#plan;
    if (Number.isFinite(deadline)) this.#end = setTimeout(() => this.#late(), Math.ceil(Math.max(1, deadline - performance.now()) / END_STEP_MS) * END_STEP_MS);
    this.#send();
    if (this.#hasBody) this.#call.readBody();
  }

  #send(): void {
    const { request, target } = this.#plan;
    this.#upstream = this.#hop.pool.call(request, target, this.#hop.edits, this.#hasBody, this);
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
    if (end || response.status !== 200 || !this.#user.readsTrailers) return this.#take(response, response, end);
    // What comes with the head in one piece comes before this.
    this.#held = response;
    queueMicrotask(() => this.#release());
  }

  /** The head that was held is one that others follow. */
  #release(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null && !this.#over) this.#take(held, held, false);
  }

  #take(response: ResponseMessage, outcome: AnswerHead, end: boolean): void {
    this.#stopTimer();
    const wait = this.#user.again(outcome, false, this.#kept.chunks !== null);
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
    if (this.#held !== null) this.#release();
    if (this.#over) return;
    this.#sent += data.length;
    if (!this.#call.write(data)) this.#upstream?.pause();
    this.#upstream?.consume(data.length);
  }

  onEnd(trailers: Trailers | null): void {
    if (this.#over) return;
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#take(held, trailers === null ? held : outcomeOf(held, trailers), false);
    if (!this.#answered) return;
    this.#call.end(trailers, RESERVED);
    this.#finish('answered', null);
  }

  onDrain(): void {
    if (!this.#over) this.#call.resume();
  }

  onFailed(error: Error, untouched: boolean): void {
    if (this.#over) return;
    this.#held = null;
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

  /** The time of the whole call is over. */
  #late(): void {
    if (this.#over) return;
    const error = new PatienceError('the deadline of the call is over');
    this.#upstream?.abort();
    if (!this.#answered) {
      this.#user.again(error, false, false);
      return this.#finish('unreachable', error);
    }
    this.#call.end(lateTrailers(), RESERVED);
    this.#finish('answered', error);
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
    if (this.#end !== null) clearTimeout(this.#end);
    this.#call.respond(response, this.#hop.answer, { end: false, close: false });
    const client = this.#call.switchProtocol();
    const upstream = this.#upstream?.switchProtocol();
    if (upstream === undefined) return client.link.destroy();
    client.link.write(upstream.rest);
    upstream.link.write(client.rest);
    this.#user.switched(client.link, upstream, client.rest.length);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #finish(kind: ForwardOutcome['kind'], error: Error | null): void {
    this.#over = true;
    this.#stopTimer();
    if (this.#end !== null) clearTimeout(this.#end);
    this.#kept.drop();
    if (this.#hasBody && !this.#requestEnded) this.#plan.copy?.stop();
    this.#user.finished({ kind, error, received: this.#received, sent: this.#sent });
  }
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
