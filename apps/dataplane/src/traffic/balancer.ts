import { scoreOf } from './hash.ts';
import type { Member } from './member.ts';

/** A number from 0 to less than 1, as Math.random gives. */
export type Random = () => number;

type Locality = Member['endpoint']['locality'];

/** The least loaded of all; equals take turns. Null when there is none. */
export function leastOfAll(members: readonly Member[], turn: number): Member | null {
  let best: Member | null = null;
  for (let i = 0; i < members.length; i += 1) {
    const member = members[(i + turn) % members.length];
    if (member && (best === null || member.open < best.open)) best = member;
  }
  return best;
}

/**
 * The less loaded of two that are picked by chance: nearly as even as the least of all, and without the herd that runs to
 * whoever was idle last (Mitzenmacher, "The Power of Two Choices").
 */
export function leastOfTwo(members: readonly Member[], random: Random): Member | null {
  const first = pick(members.length, random);
  const one = members[first];
  if (!one || members.length === 1) return one ?? null;
  // One of the others, each as likely.
  const other = members[(first + 1 + pick(members.length - 1, random)) % members.length];
  return other && other.open < one.open ? other : one;
}

/**
 * The member with the highest score for this key (rendezvous hashing). When one goes, only its own keys move, and
 * evenly; when one comes, it takes only what becomes its own. A ring promises that roughly, this exactly.
 */
export function byHash(members: readonly Member[], key: number): Member | null {
  let best: Member | null = null;
  let high = -1;
  for (const member of members) {
    const score = scoreOf(key, member.hash);
    if (score > high || (score === high && best !== null && member.hash > best.hash)) {
      best = member;
      high = score;
    }
  }
  return best;
}

/** Members by nearness to `own`: the same zone, the same region, anywhere else. Empty levels are left out. */
export function levelsOf(members: readonly Member[], own: Locality): Member[][] {
  if (own === undefined) return [[...members]];
  const levels: Member[][] = [[], [], []];
  for (const member of members) levels[distance(member.endpoint.locality, own)]?.push(member);
  return levels.filter((level) => level.length > 0);
}

function distance(there: Locality, own: NonNullable<Locality>): 0 | 1 | 2 {
  if (there?.region !== own.region) return 2;
  return there.zone === own.zone ? 0 : 1;
}

/**
 * The level that a call goes to, as Envoy's priority levels divide load: a level takes what its share of healthy members
 * times `factor` can bear, and the next takes the rest; when all together cannot bear it, each takes its proportion.
 *
 * @param healthy how many of each level are in use
 * @param draw 0 to less than 1: by chance, or from the hash of a key so that the same key stays at its level
 */
export function levelFor(levels: readonly (readonly Member[])[], healthy: readonly number[], factor: number, draw: number): number {
  const bears = levels.map((level, index) => Math.min(1, (factor * (healthy[index] ?? 0)) / level.length));
  let rest = draw * Math.min(1, bears.reduce((sum, share) => sum + share, 0));
  for (const [index, share] of bears.entries()) {
    if (rest < share) return index;
    rest -= share;
  }
  return 0;
}

function pick(count: number, random: Random): number {
  return Math.min(count - 1, Math.floor(random() * count));
}
