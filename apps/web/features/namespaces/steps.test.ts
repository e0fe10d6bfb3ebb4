import type { Blocker, StrictPlan, StrictStep } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { isRunning, whyNotStep } from './steps.ts';

const AT = '2026-01-15T12:00:00.000Z';

function aBlocker(kind: Blocker['kind']): Blocker {
  return { kind, source: { ip: null, workload: null }, destination: { namespace: 'shop', workload: null, service: null }, port: null, count: 0, lastSeen: null, message: 'm', remedy: 'r' };
}

function aStep(state: StrictStep['state']): StrictStep {
  return { id: '1', namespace: 'shop', state, canary: 'cart', startedBy: 'ann', startedAt: AT, stageStartedAt: AT, stageEndsAt: AT, finishedAt: null, refusals: 0, reason: '', log: [] };
}

function aPlan(changes: Partial<StrictPlan>): StrictPlan {
  return {
    namespace: 'shop', mode: 'PERMISSIVE', ready: true, blockers: [], window: { from: AT, to: AT }, coverage: { proxiesExpected: 0, proxiesReporting: 0, share: null, since: null, proxies: [] },
    calls: { mutual: 1, plaintext: 0, unknown: 0 }, step: null, ...changes,
  };
}

describe('whyNotStep', () => {
  it('opens the gate only when the operator calls it ready', () => {
    expect(whyNotStep(aPlan({}))).toBeNull();
    expect(whyNotStep(aPlan({ ready: false }))).not.toBeNull();
  });

  it('counts the reasons by kind', () => {
    const blockers = [aBlocker('plaintext-caller'), aBlocker('plaintext-caller'), aBlocker('coverage-gap')];
    expect(whyNotStep(aPlan({ ready: false, blockers }))).toBe('Refused because of 2 plaintext callers, 1 gap in the telemetry.');
  });

  it('does not step twice', () => {
    expect(whyNotStep(aPlan({ step: aStep('watching-canary') }))).toContain('under way');
    expect(whyNotStep(aPlan({ step: aStep('rolled-back') }))).toBeNull();
    expect(whyNotStep(aPlan({ mode: 'STRICT', step: aStep('succeeded') }))).toContain('strict already');
    expect(isRunning(aStep('watching-namespace'))).toBe(true);
    expect(isRunning(aStep('failed'))).toBe(false);
    expect(isRunning(null)).toBe(false);
  });
});
