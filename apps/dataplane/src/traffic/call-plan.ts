import type { Endpoint } from '../http/route.ts';
import type { Random } from './balancer.ts';
import type { Fault } from './faults.ts';
import type { Backend, Group } from './group.ts';
import type { Member } from './member.ts';
import { type AttemptEnd, backoffMs, type RetryBudget, wantsRetry } from './retries.ts';
import type { TrafficRules } from './rules.ts';
import type { Deadline } from './timeouts.ts';

/** What a plan looks at in a call. */
export interface CallFacts {
  readonly method: string;
  /** The first field of this name (given in lower case), or null. */
  header(name: string): string | null;
}

export interface CallPlanParts {
  readonly rules: TrafficRules;
  /** Null when there is no backend at all. */
  readonly group: Group | null;
  readonly fault: Fault | null;
  readonly facts: CallFacts | null;
  readonly key: number | null;
  readonly deadline: Deadline;
  readonly budget: RetryBudget | null;
  readonly random: Random;
}

/** One call on its way: which endpoint is next, and whether there is a next. `finish` is to be called in any case. */
export class CallPlan {
  readonly deadline: Deadline;
  readonly fault: Fault | null;
  readonly #parts: CallPlanParts;
  readonly #method: string | null;
  readonly #tried: Member[] = [];
  #member: Member | null = null;
  #retried = 0;
  #movedOn = false;

  constructor(parts: CallPlanParts) {
    this.#parts = parts;
    // Texts of a request may be kept, its head may not.
    this.#method = parts.facts?.method ?? null;
    this.deadline = parts.deadline;
    this.fault = parts.fault;
  }

  /** Where the call goes by its weights; null when there is no such place. */
  get backend(): Backend | null {
    return this.#parts.group?.backend ?? null;
  }

  /** True when it matters what gRPC says of an answer. */
  get asksForGrpc(): boolean {
    const { retry, outliers } = this.#parts.rules;
    return outliers !== null || (retry !== null && retry.grpc.size > 0);
  }

  /** The endpoint of the next attempt, which counts as open from now on. Null when there is none. */
  choose(now: number): Endpoint | null {
    const { group, key, random } = this.#parts;
    this.#release();
    this.#member = group?.choose(this.#tried, key, random, now) ?? null;
    if (this.#member === null) return null;
    this.#member.open += 1;
    return this.#member.endpoint;
  }

  /**
   * Tells how the present attempt ended, or that its answer has come.
   *
   * @param replayable whether the call can be sent again as it was: its body is still known, and nothing was answered
   * @returns ms to wait before the next attempt; null when there is none
   */
  ended(end: AttemptEnd, replayable: boolean, now: number): number | null {
    const member = this.#member;
    if (member === null) return null;
    // A kept connection that the other side closed says nothing about its health.
    if (end !== 'untouched') this.#parts.group?.record(member, isFailure(end), now);
    const wait = replayable ? this.#next(end, member, now) : null;
    if (wait !== null) this.#tried.push(member);
    return wait;
  }

  /** The call is over, and so is its attempt. */
  finish(): void {
    this.#release();
  }

  #next(end: AttemptEnd, member: Member, now: number): number | null {
    if (this.#mayMoveOn(end, member, now)) {
      this.#movedOn = true;
      return 0;
    }
    const { budget, random, rules: { retry } } = this.#parts;
    if (retry === null || budget === null || this.#method === null || !wantsRetry(end, this.#method, this.#retried, retry)) return null;
    const wait = backoffMs(retry.backoff, this.#retried, random);
    if (!this.deadline.allows(wait, now) || !budget.take(now)) return null;
    this.#retried += 1;
    return wait;
  }

  /** Once, with or without a policy, and out of no budget: nothing was taken, so it is no repetition. */
  #mayMoveOn(end: AttemptEnd, member: Member, now: number): boolean {
    if (this.#movedOn || !this.deadline.allows(0, now)) return false;
    // The same endpoint again only when a kept connection was stale: one that refused would refuse again.
    return end === 'untouched' || (end === 'refused' && this.#parts.group?.hasOther([...this.#tried, member], now) === true);
  }

  #release(): void {
    if (this.#member !== null) this.#member.open -= 1;
    this.#member = null;
  }
}

/** What Envoy takes for 5xx of gRPC: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_FAILURES = new Set([2, 4, 12, 13, 14, 15]);

function isFailure(end: AttemptEnd): boolean {
  if (typeof end === 'object') return GRPC_FAILURES.has(end.grpc);
  return typeof end === 'number' ? end >= 500 : end !== 'connected';
}
