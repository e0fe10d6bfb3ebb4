import type { Random } from './balancer.ts';
import type { FaultRules, InjectedAnswer } from './rules.ts';

/** What befalls one call: it waits, then gets this answer in the place of the service's. */
export interface Fault {
  readonly delay: number;
  readonly answer: InjectedAnswer | null;
}

/** Draws the faults of a call. Delay and abort are drawn independently, as Istio's are. Null for none. */
export function drawFault({ delay, abort }: FaultRules, random: Random): Fault | null {
  const ms = delay && random() < delay.share ? delay.ms : 0;
  const answer = abort && random() < abort.share ? abort.answer : null;
  return ms === 0 && answer === null ? null : { delay: ms, answer };
}
