import { Backoff } from '../backoff.ts';

const FIRST_MS = 5_000;
const LIMIT_MS = 300_000;

/** Remembers that something did not work, so that not every call tries it: for 5 s at first, doubling to 5 min. */
export class Holdoff {
  readonly #backoff = new Backoff(FIRST_MS, LIMIT_MS);
  #until = 0;

  /** True while it is not to be tried. */
  get waits(): boolean {
    return Date.now() < this.#until;
  }

  failed(): void {
    this.#until = Date.now() + this.#backoff.next();
  }

  succeeded(): void {
    this.#until = 0;
    this.#backoff.reset();
  }
}
