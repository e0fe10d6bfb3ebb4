import type { Random } from './balancer.ts';

/** Copies that are under way at once for one service port. Further calls are not copied. */
const MAX_IN_FLIGHT = 64;
/** What a copy may be behind its call. One whose receiver is slower is given up: the call must not wait for it. */
const MAX_BEHIND = 65_536;

/** Decides which calls are copied. */
export class MirrorGate {
  #inFlight = 0;

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True when this call is to be copied; then `leave` is to be called once. @param share 0 to 1 */
  enter(share: number, random: Random): boolean {
    if (this.#inFlight >= MAX_IN_FLIGHT || random() >= share) return false;
    this.#inFlight += 1;
    return true;
  }

  leave(): void {
    this.#inFlight -= 1;
  }
}

/** Where a copy's body goes. */
export interface MirrorSink {
  /** False when it should not be given more before it said so. */
  write(chunk: Buffer): boolean;
  abort(): void;
}

/** Hands a copy's body on, in bounded memory: what its receiver does not take in time ends the copy, never the call. */
export class MirrorFeed {
  readonly #sink: MirrorSink;
  #behind = 0;
  #ended = false;

  constructor(sink: MirrorSink) {
    this.#sink = sink;
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(chunk: Buffer): void {
    if (this.#ended) return;
    const taken = this.#sink.write(chunk);
    this.#behind = taken ? 0 : this.#behind + chunk.length;
    if (this.#behind > MAX_BEHIND) this.stop();
  }

  drained(): void {
    this.#behind = 0;
  }

  /** Gives the copy up. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#sink.abort();
  }
}
