/** What of a body is kept at most, so that a call can be sent again. A longer one is sent once. */
export const REPLAY_BYTES = 65_536;

/** The beginning of a call's body, as long as it is the whole of what came. */
export class ReplayBuffer {
  #chunks: Buffer[] | null = [];
  #size = 0;

  /** What came so far, in order; null when it was too much, or when nobody will ask for it any more. */
  get chunks(): readonly Buffer[] | null {
    return this.#chunks;
  }

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > REPLAY_BYTES) this.drop();
    else this.#chunks?.push(chunk);
  }

  /** Lets go of it: the call will not be sent again. */
  drop(): void {
    this.#chunks = null;
  }
}
