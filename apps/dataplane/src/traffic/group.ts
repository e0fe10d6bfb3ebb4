import type { Endpoint, ServicePort } from '../http/route.ts';
import { byHash, leastOfAll, leastOfTwo, levelFor, levelsOf, type Random } from './balancer.ts';
import { type Member, membersOf } from './member.ts';
import { Outliers } from './outliers.ts';
import type { TrafficRules } from './rules.ts';

/** A port of a service that calls may go to. */
export interface Backend {
  readonly service: string;
  /** Null when the service or its port is not there: calls to it fail. */
  readonly port: ServicePort | null;
  readonly weight: number;
}

/** The members of one backend, and who of them is called next. */
export class Group {
  readonly backend: Backend;
  readonly members: readonly Member[];
  readonly #rules: TrafficRules;
  readonly #outliers: Outliers | null;
  readonly #levels: readonly (readonly Member[])[];
  #turn = 0;

  /** @param before members of the same backend that are known already */
  constructor(backend: Backend, rules: TrafficRules, own: Endpoint['locality'], before: readonly Member[]) {
    this.backend = backend;
    this.members = membersOf(backend.port?.endpoints ?? [], before);
    this.#rules = rules;
    this.#outliers = rules.outliers && new Outliers(rules.outliers, this.members);
    this.#levels = levelsOf(this.members, rules.balancer.locality === null ? undefined : own);
  }

  get weight(): number {
    return this.backend.weight;
  }

  /** Tells how a call went. */
  record(member: Member, failed: boolean, now: number): void {
    this.#outliers?.record(member, this.members, failed, now);
  }

  /** True when somebody can be called who is not among `tried`. */
  hasOther(tried: readonly Member[], now: number): boolean {
    return this.#inUse(now).some((member) => !tried.includes(member));
  }

  /**
   * The member to call: one that is in use and was not tried, or, when all were, one that was.
   *
   * @param key hash of what the call is bound to; null when it is bound to nothing
   */
  choose(tried: readonly Member[], key: number | null, random: Random, now: number): Member | null {
    const inUse = this.#inUse(now);
    const fresh = tried.length === 0 ? inUse : inUse.filter((member) => !tried.includes(member));
    const near = this.#near(fresh.length > 0 ? fresh : inUse, key, random);
    const { type } = this.#rules.balancer;
    if (type === 'leastOfAll') return leastOfAll(near, (this.#turn += 1));
    return type === 'hash' && key !== null ? byHash(near, key) : leastOfTwo(near, random);
  }

  #inUse(now: number): readonly Member[] {
    return this.#outliers?.inUse(this.members, now) ?? this.members;
  }

  #near(usable: readonly Member[], key: number | null, random: Random): readonly Member[] {
    const { locality } = this.#rules.balancer;
    if (locality === null || this.#levels.length < 2) return usable;
    const levels = this.#levels.map((level) => level.filter((member) => usable.includes(member)));
    const draw = key === null ? random() : key / 2 ** 32;
    const level = levels[levelFor(this.#levels, levels.map(({ length }) => length), locality.factor, draw)] ?? [];
    // A level may be left without anybody who was not tried yet.
    return level.length > 0 ? level : usable;
  }
}
