'use client';
import type { StrictPlan } from '@sallyport/shared/api';
import { useState } from 'react';
import { FailureText } from '../shell/View.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { ProtectionBar } from '../mesh/ProtectionBar.tsx';
import { Blockers } from './Blockers.tsx';
import { StepProgress } from './StepProgress.tsx';
import { whyNotStep } from './steps.ts';
import { count, duration, percent } from '#lib/format.ts';
import { apiPaths } from '#lib/paths.ts';
import { hasGaps } from '#lib/protection.ts';
import { useWhyNot } from '#lib/session.tsx';
import { useWrite } from '#lib/write.ts';
import { Button } from '#ui/Button.tsx';
import { Dialog } from '#ui/Dialog.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel, Stat, Stats } from '#ui/Panel.tsx';

/** The gate to strict: who stands in the way, the step itself, and the way back. */
export function Strict({ plan }: { plan: StrictPlan }) {
  return (
    <>
      <CoverageNotice coverage={plan.coverage} />
      {plan.step && <StepProgress step={plan.step} namespace={plan.namespace} />}
      <Gate plan={plan} />
      <Blockers plan={plan} />
      <SourceLine coverage={plan.coverage} window={plan.window} />
    </>
  );
}

function Gate({ plan }: { plan: StrictPlan }) {
  const [asking, setAsking] = useState(false);
  const step = useWrite();
  const role = useWhyNot('approver');
  const span = duration(Date.parse(plan.window.to) - Date.parse(plan.window.from));
  const begin = () => step.mutate({ path: apiPaths.strict(plan.namespace), method: 'POST', body: {} }, { onSettled: () => setAsking(false) });
  return (
    <Panel title="The gate">
      <div className="stack">
        <p>
          Strict refuses every plaintext connection to every port of <strong>{plan.namespace}</strong>. The gate opens when, for the last {span}, no
          plaintext arrived and the proxies reported enough of the time to be sure of that.
        </p>
        <Stats>
          <Stat name="Mutual TLS" value={count(plan.calls.mutual)} />
          <Stat name="Plaintext" value={count(plan.calls.plaintext)} />
          <Stat name="Unknown" value={count(plan.calls.unknown)} />
          <Stat name="Coverage" value={plan.coverage.share === null ? 'none' : percent(plan.coverage.share, 1)} note={`${plan.coverage.proxiesReporting} of ${plan.coverage.proxiesExpected} proxies`} />
          <Stat name="Window" value={span} />
        </Stats>
        <ProtectionBar calls={plan.calls} stale={hasGaps(plan.coverage)} />
        {step.error && <Notice tone="bad" urgency="alert" title="The step was not begun"><FailureText error={step.error} /></Notice>}
        <div><Button kind="primary" whyNot={whyNotStep(plan) ?? role} onPress={() => setAsking(true)}>Step to strict…</Button></div>
      </div>
      {asking && (
        <Dialog title={`Step ${plan.namespace} to strict?`} confirm="Step to strict" busy={step.isPending} onConfirm={begin} onClose={() => setAsking(false)}>
          <p>First one workload refuses plaintext, then the whole namespace. Each stage is watched, and the step rolls itself back if a caller is refused.</p>
          <p>In the last {span}: {count(plan.calls.mutual)} calls by mutual TLS, {count(plan.calls.plaintext)} in plaintext, {count(plan.calls.unknown)} unknown. A caller that was silent all that time is not known here.</p>
        </Dialog>
      )}
    </Panel>
  );
}
