/**
 * One reading for two uses: durations need a clock that only goes forward, reports need the time of day. The distance between
 * them is measured now and then, since the time of day may be set.
 */
export class Clock {
  #offset = Date.now() - performance.now();

  /** Takes the distance anew. To be called every few seconds. */
  adjust(): void {
    this.#offset = Date.now() - performance.now();
  }

  /** The time of day, in whole ms since the epoch, of a reading of `performance.now()`. */
  wall(reading: number): number {
    return Math.floor(reading + this.#offset);
  }

  /** The same in nanoseconds, as text of decimal digits: more than a number holds. */
  nanoseconds(reading: number): string {
    const at = reading + this.#offset;
    const whole = Math.floor(at);
    return `${whole}${String(Math.floor((at - whole) * 1_000_000)).padStart(6, '0')}`;
  }
}
