import type { WayView } from '@sallyport/shared/api';

/** Why somebody gets in by one way, in words. */
export function howText({ how, mode, explanation }: WayView): string {
  if (how !== null) return `${how.policy}, rule ${how.rule}`;
  return mode === null ? 'outside the mesh: nothing is enforced' : explanation;
}

/** What gets through: everything, or only some calls. */
export function callsText({ everything, effect }: WayView): string {
  if (effect === 'ASK') return 'what the external authorizer lets in';
  return everything ? 'all' : 'some';
}

/** `1 hop`, and how much of the mesh: `3 of 14 workloads`. */
export function radiusText(reached: number, workloads: number, hops: number): string {
  const share = `${reached} of ${workloads} workloads`;
  return reached === 0 ? `Reaches no workload (of ${workloads})` : `Reaches ${share} in at most ${hops} ${hops === 1 ? 'hop' : 'hops'}`;
}
