import type { Member } from './member.ts';
import type { OutlierRules } from './rules.ts';

/** Envoy's `max_ejection_time`: no ejection lasts longer, unless one alone does already. */
const MAX_EJECTION_MS = 300_000;

/** Takes members that fail out of use for a time, as Envoy's outlier detection does for consecutive errors. */
export class Outliers {
  readonly #rules: OutlierRules;
  /** When the last ejection ends: before that somebody may be out of use. */
  #lastEnd = 0;

  constructor(rules: OutlierRules, members: readonly Member[]) {
    this.#rules = rules;
    for (const { ejectedUntil } of members) this.#lastEnd = Math.max(this.#lastEnd, ejectedUntil);
  }

  /** Tells how a call to one of `members` went. True when that took it out of use. */
  record(member: Member, members: readonly Member[], failed: boolean, now: number): boolean {
    if (!failed) {
      member.failures = 0;
      return false;
    }
    member.failures += 1;
    if (member.failures < this.#rules.failures || member.ejectedUntil > now || !this.#mayEject(members, now)) return false;
    this.#eject(member, now);
    return true;
  }

  /** Those that may be called now. All of them when too few are left ("panic"). */
  inUse(members: readonly Member[], now: number): readonly Member[] {
    if (now >= this.#lastEnd) return members;
    const left = members.filter(({ ejectedUntil }) => ejectedUntil <= now);
    return left.length === 0 || left.length < this.#rules.minHealthy * members.length ? members : left;
  }

  #mayEject(members: readonly Member[], now: number): boolean {
    const ejected = members.reduce((count, { ejectedUntil }) => count + (ejectedUntil > now ? 1 : 0), 0) + 1;
    // What lies a hair below a whole number by the arithmetic of fractions is that number.
    return ejected < members.length && ejected <= this.#rules.maxEjected * members.length + 1e-9;
  }

  #eject(member: Member, now: number): void {
    const { base, interval } = this.#rules;
    const forgiven = Math.floor(Math.max(0, now - member.ejectedUntil) / interval);
    member.ejections = Math.max(0, member.ejections - forgiven) + 1;
    member.failures = 0;
    member.ejectedUntil = now + Math.min(base * member.ejections, Math.max(base, MAX_EJECTION_MS));
    this.#lastEnd = Math.max(this.#lastEnd, member.ejectedUntil);
  }
}
