/** How a stream ended: by both sides, or by a reset of ours or of the peer's. */
export const CLOSED = { DONE: 1, BY_US: 2, BY_PEER: 3 } as const;

const REMEMBERED = 256;

/** The streams that closed last: frames that crossed our reset are no error, others are. */
export class ClosedStreams {
  readonly #ids = new Int32Array(REMEMBERED);
  readonly #how = new Uint8Array(REMEMBERED);
  #next = 0;
  #forgotten = false;

  add(id: number, how: number): void {
    this.#ids[this.#next] = id;
    this.#how[this.#next] = how;
    this.#next = (this.#next + 1) % REMEMBERED;
    if (this.#next === 0) this.#forgotten = true;
  }

  /** How it closed; 0 when it never was; `BY_US`, which forgives most, when it may have been forgotten. */
  how(id: number): number {
    const at = this.#ids.lastIndexOf(id);
    if (at >= 0) return this.#how[at]!;
    return this.#forgotten ? CLOSED.BY_US : 0;
  }
}
