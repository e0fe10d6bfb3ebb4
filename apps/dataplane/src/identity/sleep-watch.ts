const CHECK_MS = 1_000;
const JUMP_MS = 3_000;

/**
 * Notices that the wall clock went another way than time did: the machine slept, or somebody set the clock. Timers do
 * not count a sleep, so whoever waits for a moment of the wall clock would come too late by as much.
 */
export class SleepWatch {
  readonly #timer: NodeJS.Timeout;
  #offset = offset();

  constructor(woken: (jumpMs: number) => void) {
    this.#timer = setInterval(() => {
      const jump = offset() - this.#offset;
      this.#offset += jump;
      if (Math.abs(jump) >= JUMP_MS) woken(Math.round(jump));
    }, CHECK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** How far the wall clock is from the one that only runs while the machine does. */
function offset(): number {
  return Date.now() - performance.now();
}
