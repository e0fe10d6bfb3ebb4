import { HboneStream, type StreamCarrier } from '../hbone/stream.ts';
import type { Field, Stream } from '../wire/index.ts';
import type { Trailers } from './exchange.ts';
import { H2Trailers } from './h2-message.ts';

const NOTHING = Buffer.alloc(0);

/** Who takes a body. */
export interface BodyUser {
  onBody(data: Buffer): void;
  onEnd(trailers: Trailers | null): void;
}

/**
 * A body on its way from the wire to its user: what the user does not want yet waits here, as much as the window allows. After a
 * switch of protocols (RFC 8441 §5) the same bytes are those of a tunnel.
 */
export class H2Body<T> {
  /** True when the user was told the end. */
  ended = false;
  #user: BodyUser | null = null;
  #paused: boolean;
  #waiting: Buffer[] = [];
  /** Null until the end came. */
  #end: { readonly trailers: readonly Field[] | null } | null = null;
  #telling = false;
  #tunnel: HboneStream<T> | null = null;

  /** @param paused true when it waits until somebody asks for it */
  constructor(paused: boolean) {
    this.#paused = paused;
  }

  attach(user: BodyUser): void {
    this.#user = user;
  }

  /** The tunnel that took the body's place, or null. */
  get tunnel(): HboneStream<T> | null {
    return this.#tunnel;
  }

  take(data: Buffer, end: boolean): void {
    if (this.#tunnel !== null) return this.#tunnel.onData(data, end);
    if (data.length > 0) this.#waiting.push(data);
    if (end) this.#end = { trailers: null };
    this.#tell();
  }

  takeTrailers(fields: readonly Field[]): void {
    if (this.#tunnel !== null) return this.#tunnel.onData(NOTHING, true);
    this.#end = { trailers: fields };
    this.#tell();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#tell();
  }

  /** Makes a tunnel of it; what waits is the first of its bytes. @param onGone see {@link HboneStream} */
  switch(carrier: StreamCarrier<T>, stream: Stream<T>, onGone?: () => void): HboneStream<T> {
    const tunnel = new HboneStream(carrier, stream, onGone);
    const waiting = this.#waiting;
    const ended = this.#end !== null;
    this.drop();
    this.#tunnel = tunnel;
    for (const data of waiting) tunnel.onData(data, false);
    if (ended) tunnel.onData(NOTHING, true);
    return tunnel;
  }

  /** Nobody wants it any more. */
  drop(): void {
    this.#user = null;
    this.#waiting = [];
  }

  /** The user may pause, resume or drop from within what it is told. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    while (this.#user !== null && !this.#paused && this.#waiting.length > 0) this.#user.onBody(this.#waiting.shift()!);
    this.#telling = false;
    if (this.#user === null || this.#paused || this.#end === null || this.ended) return;
    this.ended = true;
    const { trailers } = this.#end;
    this.#user.onEnd(trailers === null ? null : new H2Trailers(trailers));
  }
}
