'use client';
import type { StrictStep } from '@sallyport/shared/api';
import { useState } from 'react';
import { Ago, At, WithTimes } from '../shell/Ago.tsx';
import { FailureText } from '../shell/View.tsx';
import { isRunning, STAGES } from './steps.ts';
import styles from './Strict.module.css';
import { count, duration } from '#lib/format.ts';
import { useNow } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useWhyNot } from '#lib/session.tsx';
import { useWrite } from '#lib/write.ts';
import { Button } from '#ui/Button.tsx';
import { Dialog } from '#ui/Dialog.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Facts, Panel } from '#ui/Panel.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

const LOOK: Readonly<Record<StrictStep['state'], { tone: Tone; name: string }>> = {
  'watching-canary': { tone: 'info', name: 'watching one workload' },
  'watching-namespace': { tone: 'info', name: 'watching the namespace' },
  succeeded: { tone: 'ok', name: 'succeeded' },
  'rolled-back': { tone: 'bad', name: 'rolled back' },
  failed: { tone: 'bad', name: 'failed' },
};

/** The step as it goes: its stages, how long the present one still lasts, what was refused, and the way back. */
export function StepProgress({ step, namespace }: { step: StrictStep; namespace: string }) {
  const look = LOOK[step.state];
  return (
    <Panel title={isRunning(step) ? 'Step under way' : 'Last step'} actions={<Tag tone={look.tone}>{look.name}</Tag>}>
      <div className="stack">
        <p aria-live="polite">
          {isRunning(step) ? `The step is ${look.name}.` : `The step has ${look.name}.`} {step.reason}
        </p>
        <ol className={styles.stages} aria-label="Stages">
          {STAGES.map((stage, index) => (
            <li key={stage.state} className={styles.stage} data-progress={progressOf(step, index)} aria-current={stage.state === step.state ? 'step' : undefined}>
              <strong>{index + 1}. {stage.name}</strong>
              <span className="muted">{stage.means}</span>
            </li>
          ))}
        </ol>
        <Facts
          items={[
            ['Begun', <span key="b">by {step.startedBy}, <Ago at={step.startedAt} /></span>],
            ['Canary', step.canary ?? 'none'],
            ['Refused plaintext', `${count(step.refusals)} since it began`],
            ...(isRunning(step) ? ([['Stage ends', <Remaining key="r" until={step.stageEndsAt} />]] as const) : []),
            ...(step.finishedAt === null ? [] : ([['Finished', <Ago key="f" at={step.finishedAt} />]] as const)),
          ]}
        />
        <ol className={styles.log} aria-label="Log of the step">
          {step.log.map((line) => <li key={`${line.at} ${line.message}`}><At at={line.at} /><WithTimes text={line.message} /></li>)}
        </ol>
        <Rollback step={step} namespace={namespace} />
      </div>
    </Panel>
  );
}

function progressOf(step: StrictStep, index: number): 'done' | 'now' | 'broken' | 'ahead' {
  const at = STAGES.findIndex((stage) => stage.state === step.state);
  if (at < 0) return index === 0 ? 'broken' : 'ahead';
  if (step.state === 'succeeded' || index < at) return 'done';
  return index === at ? 'now' : 'ahead';
}

function Remaining({ until }: { until: string | null }) {
  const now = useNow();
  if (until === null || now === null) return <>when its proxies have acknowledged</>;
  const left = Date.parse(until) - now;
  return <>{left > 0 ? `in ${duration(left)}, if nothing is refused` : 'now'}</>;
}

function Rollback({ step, namespace }: { step: StrictStep; namespace: string }) {
  const [asking, setAsking] = useState(false);
  const rollback = useWrite();
  const role = useWhyNot('approver');
  if (!isRunning(step) && step.state !== 'succeeded') return null;
  const confirm = () =>
    rollback.mutate({ path: apiPaths.rollback(namespace), method: 'POST', body: { reason: 'rolled back from the console' } }, { onSettled: () => setAsking(false) });
  return (
    <>
      {rollback.error && <Notice tone="bad" urgency="alert" title="Not rolled back"><FailureText error={rollback.error} /></Notice>}
      <div><Button kind="danger" whyNot={role} onPress={() => setAsking(true)}>Roll back…</Button></div>
      {asking && (
        <Dialog title={`Roll ${namespace} back?`} confirm="Roll back" danger busy={rollback.isPending} onConfirm={confirm} onClose={() => setAsking(false)}>
          <p>Plaintext is taken again as it was before the step. This weakens protection: it is audited and raises a signal.</p>
        </Dialog>
      )}
    </>
  );
}
