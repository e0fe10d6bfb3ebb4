import type { TrafficRules } from './rules.ts';

/** When a call, and each attempt of it, has had its time. In ms of one clock; Infinity where there is no limit. */
export class Deadline {
  readonly #end: number;
  readonly #attempt: number;
  /** When the caller waits no longer, answered or not. */
  readonly whole: number;

  /** @param patience ms that the caller gives for the whole call */
  constructor({ request, backendRequest }: TrafficRules['timeouts'], startedAt: number, patience: number = Number.POSITIVE_INFINITY) {
    this.whole = startedAt + patience;
    this.#end = Math.min(startedAt + request, this.whole);
    this.#attempt = backendRequest;
  }

  /** What is left of the whole; 0 when it is over. */
  left(now: number): number {
    return Math.max(0, this.#end - now);
  }

  /** What an attempt that begins now may take. */
  attempt(now: number): number {
    return Math.min(this.#attempt, this.left(now));
  }

  /** The same for whoever ends the call when its whole time is over anyway. */
  patience(now: number): number {
    const attempt = this.attempt(now);
    return now + attempt >= this.whole ? Number.POSITIVE_INFINITY : attempt;
  }

  /** True when an attempt that begins after `wait` still has time. */
  allows(wait: number, now: number): boolean {
    return now + wait < this.#end;
  }
}
