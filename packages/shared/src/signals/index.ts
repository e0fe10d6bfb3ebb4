import { denyBreadth } from './deny-breadth/rule.ts';
import { denyBurst } from './deny-burst/rule.ts';
import { newEdge } from './new-edge/rule.ts';
import { plaintextAfterStrict } from './plaintext-after-strict/rule.ts';
import { rotationOverdue } from './rotation-overdue/rule.ts';
import { telemetryLost } from './telemetry-lost/rule.ts';
import type { DetectedSignal, SignalInput, SignalRule } from './types.ts';
import { weakeningChange } from './weakening-change/rule.ts';

const RULES: readonly SignalRule[] = [
  telemetryLost,
  plaintextAfterStrict,
  denyBurst,
  denyBreadth,
  weakeningChange,
  rotationOverdue,
  newEdge,
];

/**
 * Runs every rule.
 *
 * @returns the signals that hold at `now`; one that is missing the next time has ended
 */
export function detectSignals(input: SignalInput): DetectedSignal[] {
  return RULES.flatMap((rule) => rule(input));
}

export { overdueAt } from './rotation-overdue/rule.ts';
export type { DetectedSignal, EffectiveModeSince, SignalInput, SvidFact, Weakening } from './types.ts';
