import { H2Trailers } from './h2-message.ts';
import type { Field } from '../wire/index.ts';
import type { Trailers } from './exchange.ts';

/** Who takes a body. */
export interface BodyUser {
  onBody(data: Buffer): void;
  onEnd(trailers: Trailers | null): void;
}

/** A body on its way from the wire to its user: what the user does not want yet waits here, as much as the window allows. */
export class H2Body {
  /** True when the user was told the end. */
  ended = false;
  #user: BodyUser | null = null;
  #paused: boolean;
  #waiting: Buffer[] = [];
  /** Null until the end came. */
  #end: { readonly trailers: readonly Field[] | null } | null = null;
  #telling = false;

  /** @param paused true when it waits until somebody asks for it */
  constructor(paused: boolean) {
    this.#paused = paused;
  }

  attach(user: BodyUser): void {
    this.#user = user;
  }

  take(data: Buffer, end: boolean): void {
    if (data.length > 0) this.#waiting.push(data);
    if (end) this.#end = { trailers: null };
    this.#tell();
  }

  takeTrailers(fields: readonly Field[]): void {
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

  /** What waits, for somebody who takes the bytes in another way from now on. `end`: no more will come. */
  handOver(): { readonly waiting: readonly Buffer[]; readonly end: boolean } {
    const handed = { waiting: this.#waiting, end: this.#end !== null };
    this.drop();
    return handed;
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
