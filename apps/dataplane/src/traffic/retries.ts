import type { Random } from './balancer.ts';
import type { BudgetRules, RetryRules } from './rules.ts';

/** RFC 9110 §9.2.2: "PUT, DELETE, and safe request methods are idempotent"; §9.2.1 names the safe ones. CONNECT is none. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** How far a backoff grows, as Envoy's does. */
const MAX_GROWTH = 10;

/**
 * How an attempt ended. `refused`: no connection could be made. `untouched`: one broke before anybody took anything.
 * `broken`: it broke later, before an answer. `timeout`: no answer in the attempt's time. `connected`: a connection that is
 * no HTTP call stands. Else the answer's status, of HTTP or of gRPC.
 */
export type AttemptEnd = 'connected' | 'refused' | 'untouched' | 'broken' | 'timeout' | number | GrpcEnd;

/** A status of gRPC before any message. */
interface GrpcEnd {
  readonly grpc: number;
}

/** True when doing it twice does what doing it once does: by its method, or because the policy says so. */
function isRepeatable(method: string, rules: RetryRules): boolean {
  return IDEMPOTENT.has(method) || rules.methods.has(method);
}

/** True when the policy asks for another attempt after such an end, if the method allows one and attempts are left. */
export function wantsRetry(end: AttemptEnd, method: string, retried: number, rules: RetryRules): boolean {
  if (retried >= rules.attempts) return false;
  if (end === 'connected') return false;
  // All calls of gRPC are POST: who names its statuses has declared it.
  if (typeof end === 'object') return rules.grpc.has(end.grpc);
  if (typeof end === 'number') return rules.codes.has(end) && isRepeatable(method, rules);
  // GEP-1731: connection errors are tried again wherever there is a retry stanza; what nobody took may be, whatever it is.
  return end === 'refused' || end === 'untouched' || isRepeatable(method, rules);
}

/** Ms to wait before repetition number `retried + 1`. GEP-1731: "the minimum duration to wait", so chance only adds. */
export function backoffMs(base: number, retried: number, random: Random): number {
  return base * Math.min(MAX_GROWTH, 2 ** retried) * (1 + random() / 2);
}

/**
 * How much of the load may be repetitions (GEP-3388): a share of the calls of the last `interval`, and beyond that a
 * minimum rate, which is a bucket of tokens, so that a little load can be repeated too.
 */
export class RetryBudget {
  readonly #rules: BudgetRules;
  readonly #calls: Recent;
  readonly #retries: Recent;
  #tokens: number;
  #filledAt = 0;

  constructor(rules: BudgetRules) {
    this.#rules = rules;
    this.#calls = new Recent(rules.interval);
    this.#retries = new Recent(rules.interval);
    this.#tokens = rules.minimum.count;
  }

  /** Counts a call, which is what repetitions are measured by. */
  call(now: number): void {
    this.#calls.add(now);
  }

  /** Takes one repetition out of the budget. False when it has none. */
  take(now: number): boolean {
    const allowed = this.#retries.sum(now) + 1 <= this.#rules.share * this.#calls.sum(now) || this.#takeToken(now);
    if (allowed) this.#retries.add(now);
    return allowed;
  }

  #takeToken(now: number): boolean {
    const { count, interval } = this.#rules.minimum;
    this.#tokens = Math.min(count, this.#tokens + (count * Math.max(0, now - this.#filledAt)) / interval);
    this.#filledAt = Math.max(this.#filledAt, now);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

const SLOTS = 10;

/** A count over the last `interval`, in tenths of it. */
class Recent {
  readonly #slotMs: number;
  readonly #counts = Array.from({ length: SLOTS }, () => 0);
  #slot = 0;
  #sum = 0;

  constructor(interval: number) {
    this.#slotMs = interval / SLOTS;
  }

  add(now: number): void {
    this.#advance(now);
    const index = this.#slot % SLOTS;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += 1;
  }

  sum(now: number): number {
    this.#advance(now);
    return this.#sum;
  }

  /** Forgets what is too old. */
  #advance(now: number): void {
    const slot = Math.floor(now / this.#slotMs);
    for (let fresh = Math.max(this.#slot + 1, slot - SLOTS + 1); fresh <= slot; fresh += 1) {
      this.#sum -= this.#counts[fresh % SLOTS] ?? 0;
      this.#counts[fresh % SLOTS] = 0;
    }
    this.#slot = Math.max(this.#slot, slot);
  }
}
