import type { StrictPlan, StrictStep } from '@sallyport/shared/api';
import { plural } from '../../lib/format.ts';

/** The stages of a step to strict, in order. */
export const STAGES: readonly { readonly state: StrictStep['state']; readonly name: string; readonly means: string }[] = [
  { state: 'watching-canary', name: 'One workload', means: 'Only the canary refuses plaintext, and is watched.' },
  { state: 'watching-namespace', name: 'Whole namespace', means: 'Every workload refuses plaintext, and is watched.' },
  { state: 'succeeded', name: 'Strict', means: 'Nothing was refused that had been let in before.' },
];

/** True while a step is under way and can be rolled back. */
export function isRunning(step: StrictStep | null): boolean {
  return step !== null && (step.state === 'watching-canary' || step.state === 'watching-namespace');
}

/** Why the step may not begin now; null when nothing stands in its way but a role. */
export function whyNotStep(plan: StrictPlan): string | null {
  if (isRunning(plan.step)) return 'A step is under way.';
  if (plan.mode === 'STRICT') return 'This namespace is strict already.';
  if (plan.ready) return null;
  const kinds = new Map<string, number>();
  for (const blocker of plan.blockers) kinds.set(blocker.kind, (kinds.get(blocker.kind) ?? 0) + 1);
  const parts = [...kinds].map(([kind, number]) => NAMES[kind]?.(number) ?? `${number} × ${kind}`);
  return parts.length === 0 ? 'The operator does not call it ready.' : `Refused because of ${parts.join(', ')}.`;
}

const NAMES: Readonly<Record<string, (number: number) => string>> = {
  'plaintext-caller': (number) => plural(number, 'plaintext caller'),
  'coverage-gap': (number) => plural(number, 'gap in the telemetry', 'gaps in the telemetry'),
  'no-telemetry': () => 'missing telemetry',
  'unmeshed-workload': (number) => plural(number, 'workload outside the mesh', 'workloads outside the mesh'),
  'already-stepping': () => 'a step under way',
  'proxy-behind': (number) => plural(number, 'proxy behind', 'proxies behind'),
};
