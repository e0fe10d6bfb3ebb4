import type { TrafficRules } from './rules.ts';

/** When a call, and each attempt of it, has had its time. In ms of one clock; Infinity where there is no limit. */
export class Deadline {
  readonly #end: number;
  readonly #attempt: number;

  constructor({ request, backendRequest }: TrafficRules['timeouts'], startedAt: number) {
    this.#end = startedAt + request;
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

  /** True when an attempt that begins after `wait` still has time. */
  allows(wait: number, now: number): boolean {
    return now + wait < this.#end;
  }
}
