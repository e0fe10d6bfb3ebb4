import type { Endpoint } from '../http/route.ts';
import { leastOfTwo, type Random } from './balancer.ts';
import { Breaker } from './breaker.ts';
import { CallPlan, type CallFacts } from './call-plan.ts';
import { drawFault } from './faults.ts';
import { type Backend, Group } from './group.ts';
import { hashOf } from './hash.ts';
import { MirrorGate } from './mirror.ts';
import { RetryBudget } from './retries.ts';
import { NO_RULES, type TrafficRules } from './rules.ts';
import { pickByWeight } from './split.ts';
import { Deadline } from './timeouts.ts';

/** What a plan is made from. */
export interface PlanInput {
  readonly rules: TrafficRules;
  readonly backends: readonly Backend[];
  readonly mirror: Backend | null;
  /** Where the calling workload runs, and its address. */
  readonly locality: Endpoint['locality'];
  readonly source: string;
}

/** A copy that is to be made. `done` is to be called once, when it is over. */
export interface MirrorPlan {
  readonly endpoint: Endpoint;
  readonly backend: Backend;
  done(): void;
}

/**
 * How the calls of one workload to one port of a service are carried, and what is remembered for that: loads, failures,
 * budgets. Without sockets, clock and chance of its own: times are ms of the caller's clock.
 */
export class ServicePlan {
  readonly #random: Random;
  readonly #gate = new MirrorGate();
  /** HTTP calls. */
  readonly requests: Breaker;
  /** Connections: those of TCP, and those that HTTP calls are made on. */
  readonly connections: Breaker;
  #input: PlanInput;
  #groups: readonly Group[];
  #mirror: Group | null;
  #budget: RetryBudget | null;

  constructor(input: PlanInput, random: Random) {
    this.#random = random;
    this.#input = input;
    this.#groups = input.backends.map((backend) => new Group(backend, input.rules, input.locality, []));
    this.#mirror = mirrorGroup(input, null);
    this.#budget = input.rules.retry && new RetryBudget(input.rules.retry.budget);
    const { breaker } = input.rules;
    this.requests = new Breaker({ open: breaker.requests, pending: breaker.pending });
    this.connections = new Breaker({ open: breaker.connections, pending: breaker.pending });
  }

  get rules(): TrafficRules {
    return this.#input.rules;
  }

  /** Takes a new configuration; what is known of endpoints and limits in use stays. */
  update(input: PlanInput): void {
    const { rules } = input;
    const known = this.#groups.flatMap(({ members }) => members);
    const sameRules = rules === this.#input.rules;
    this.#groups = input.backends.map((backend) => new Group(backend, rules, input.locality, known));
    this.#mirror = mirrorGroup(input, this.#mirror);
    if (!sameRules) this.#budget = rules.retry && new RetryBudget(rules.retry.budget);
    this.#input = input;
    this.requests.update({ open: rules.breaker.requests, pending: rules.breaker.pending });
    this.connections.update({ open: rules.breaker.connections, pending: rules.breaker.pending });
  }

  /**
   * Plans one call.
   *
   * @param facts null for a connection that is no HTTP call
   * @param patience ms that the caller gives it
   */
  begin(facts: CallFacts | null, now: number, patience: number = Number.POSITIVE_INFINITY): CallPlan {
    const { rules } = this.#input;
    const fault = facts && drawFault(rules.faults, this.#random);
    const group = this.#groups.length === 1 ? (this.#groups[0] ?? null) : pickByWeight(this.#groups, this.#random);
    if (facts !== null) this.#budget?.call(now);
    return new CallPlan({
      rules, group, fault, facts, random: this.#random, budget: this.#budget,
      key: this.#keyOf(facts), deadline: new Deadline(facts ? rules.timeouts : NO_RULES.timeouts, now, patience),
    });
  }

  /** Who gets a copy of a call, if it is to be copied. */
  mirror(): MirrorPlan | null {
    const group = this.#mirror;
    const { mirror } = this.#input.rules;
    if (group === null || mirror === null || !this.#gate.enter(mirror.share, this.#random)) return null;
    const member = leastOfTwo(group.members, this.#random);
    if (member === null) {
      this.#gate.leave();
      return null;
    }
    member.open += 1;
    const done = () => {
      member.open -= 1;
      this.#gate.leave();
    };
    return { endpoint: member.endpoint, backend: group.backend, done };
  }

  /** What the call is bound to; null when it goes anywhere. */
  #keyOf(facts: CallFacts | null): number | null {
    const { key } = this.#input.rules.balancer;
    if (key === null) return null;
    if ('source' in key) return hashOf(this.#input.source);
    const value = 'header' in key ? facts?.header(key.header) : cookieOf(facts?.header('cookie') ?? '', key.cookie);
    return value == null ? null : hashOf(value);
  }
}

function mirrorGroup({ mirror, rules, locality }: PlanInput, before: Group | null): Group | null {
  return mirror && new Group(mirror, rules, locality, before?.members ?? []);
}

/** RFC 6265 §4.2.1: "cookie-pair *( ";" SP cookie-pair )". The first of the name counts. */
function cookieOf(header: string, name: string): string | null {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return null;
}
