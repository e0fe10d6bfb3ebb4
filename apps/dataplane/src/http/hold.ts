import type { Downstream, DownstreamUser } from './exchange.ts';

/** What becomes of a call that is held. */
export interface HoldUser {
  /** It was held for as long as was said. */
  timeUp(): void;
  /** Its caller went away. */
  left(): void;
}

/** Keeps a call whose turn has not come. Nothing of its body is read meanwhile. Exactly one of the user's two is called, if any. */
export class Hold implements DownstreamUser {
  readonly #user: HoldUser;
  readonly #timer: NodeJS.Timeout | null;
  #over = false;

  /** @param ms Infinity to hold it until it is released */
  constructor(call: Downstream, ms: number, user: HoldUser) {
    this.#user = user;
    this.#timer = Number.isFinite(ms) ? setTimeout(() => this.#end(() => user.timeUp()), ms) : null;
    call.attach(this);
  }

  /** Lets it go on; whoever is attached next has it. */
  release(): void {
    this.#end(() => undefined);
  }

  onBody(): void {
    // Nothing was asked for.
  }

  onEnd(): void {
    // Nothing was asked for.
  }

  onDrain(): void {
    // Nothing was written.
  }

  onAbort(): void {
    this.#end(() => this.#user.left());
  }

  #end(tell: () => void): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    tell();
  }
}
