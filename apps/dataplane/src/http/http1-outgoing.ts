import { CHUNK_END, chunkStart, LAST_CHUNK, lastChunk, type Removal } from '../wire/index.ts';
import type { Edits, RequestMessage, ResponseMessage, SwitchedUpstream, Trailers, Upstream, UpstreamUser } from './exchange.ts';
import { isIdempotent } from './idempotent.ts';

/** The connection under a call. */
export interface OutgoingCarrier {
  write(data: Buffer): boolean;
  /** Gives the answer from now on, or stops giving it. */
  read(wanted: boolean): void;
  destroy(): void;
  detach(): SwitchedUpstream;
}

/** A call that we make by HTTP/1. It waits for a connection first, and what is written meanwhile waits with it. */
export class Http1Outgoing implements Upstream {
  readonly method: string;
  readonly webSocket: boolean;
  /** True when the request was sent to its end. */
  sent: boolean;
  /** True when the answer is wanted now. */
  reading = true;
  /** True once anything came back. */
  touched = false;
  over = false;
  readonly #user: UpstreamUser;
  readonly #leave: (call: Http1Outgoing) => void;
  readonly #chunked: boolean;
  readonly #body: boolean;
  #early: Buffer[];
  #carrier: OutgoingCarrier | null = null;
  #reused = false;

  /** @param leave called once, when the call is over or given up */
  constructor(request: RequestMessage, target: string, edits: Edits, body: boolean, user: UpstreamUser, leave: (call: Http1Outgoing) => void) {
    this.method = request.method;
    this.webSocket = request.webSocket;
    this.sent = !body;
    this.#body = body;
    this.#chunked = body && request.size < 0;
    this.#user = user;
    this.#leave = leave;
    this.#early = [request.toHttp1(target, edits)];
  }

  /** A connection was found: the head goes out, and all that waited. `reused`: it carried other calls before. */
  begin(carrier: OutgoingCarrier, reused: boolean): void {
    this.#carrier = carrier;
    this.#reused = reused;
    const early = this.#early;
    this.#early = [];
    let goesOn = true;
    for (const piece of early) goesOn = carrier.write(piece);
    // Whoever wrote already was asked to wait.
    if (goesOn && early.length > 1 && !this.sent) this.#user.onDrain();
  }

  write(data: Buffer): boolean {
    if (this.over || data.length === 0) return true;
    if (!this.#chunked) return this.#write(data);
    this.#write(chunkStart(data.length));
    this.#write(data);
    return this.#write(CHUNK_END);
  }

  end(trailers: Trailers | null, removal: Removal): void {
    if (this.over || this.sent) return;
    this.sent = true;
    if (this.#chunked) this.#write(trailers === null ? LAST_CHUNK : lastChunk(trailers.toHttp1(removal)));
  }

  pause(): void {
    this.#read(false);
  }

  resume(): void {
    this.#read(true);
  }

  consume(): void {
    // There are no windows.
  }

  abort(): void {
    if (!this.#end()) return;
    this.#carrier?.destroy();
  }

  switchProtocol(): SwitchedUpstream {
    if (this.#carrier === null) throw new Error('nothing was switched');
    const switched = this.#carrier.detach();
    this.#end();
    return switched;
  }

  // What the connection tells.

  takeInterim(response: ResponseMessage): void {
    this.#user.onInterim(response);
  }

  /** `end`: nothing follows it, and the connection is somebody else's already. */
  takeResponse(response: ResponseMessage, end: boolean): void {
    if (end) this.#end();
    this.#user.onResponse(response, end);
  }

  takeBody(data: Buffer): void {
    if (!this.over) this.#user.onBody(data);
  }

  takeEnd(trailers: Trailers | null): void {
    if (this.#end()) this.#user.onEnd(trailers);
  }

  drained(): void {
    if (!this.over && !this.sent) this.#user.onDrain();
  }

  fail(error: Error): void {
    const untouched = this.#untouched();
    if (this.#end()) this.#user.onFailed(error, untouched);
  }

  /** A connection that was kept may have been closed just before it was used; nobody else's failure is forgiven. */
  #untouched(): boolean {
    if (this.#carrier === null) return true;
    return this.#reused && !this.touched && !this.#body && isIdempotent(this.method);
  }

  #write(data: Buffer): boolean {
    if (this.#carrier !== null) return this.#carrier.write(data);
    this.#early.push(data);
    return false;
  }

  #read(wanted: boolean): void {
    if (this.over) return;
    this.reading = wanted;
    this.#carrier?.read(wanted);
  }

  #end(): boolean {
    if (this.over) return false;
    this.over = true;
    this.#early = [];
    this.#leave(this);
    return true;
  }
}
