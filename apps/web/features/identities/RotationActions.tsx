'use client';
import { caActionView, type CaActionView, type CaView } from '@sallyport/shared/api';
import { useState } from 'react';
import { ForceDialog } from './ForceDialog.tsx';
import { successorOf } from './rotation.ts';
import { FailureText } from '../shell/View.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useWhyNot } from '#lib/session.tsx';
import { useWriteFor } from '#lib/write.ts';
import { Button } from '#ui/Button.tsx';
import { Dialog } from '#ui/Dialog.tsx';
import { Notice } from '#ui/Notice.tsx';

type Asked = 'rotate-root' | 'rotate-issuer' | 'activate' | 'force';

const QUESTIONS: Readonly<Record<Exclude<Asked, 'force'>, { title: string; confirm: string; means: string }>> = {
  'rotate-root': { title: 'Rotate the root?', confirm: 'Rotate the root', means: 'The next root is made and published in the trust bundle. The present one goes on signing until every live proxy has acknowledged it.' },
  'rotate-issuer': { title: 'Rotate the issuer?', confirm: 'Rotate the issuer', means: 'Another issuer signs from now on, under the same root: no proxy needs another bundle for it. SVIDs of the present one stay valid.' },
  activate: { title: 'Activate the published root?', confirm: 'Activate it', means: 'It vouches for SVIDs from now on; the present root is trusted until the last SVID under it has ended. Refused while a live proxy has not acknowledged it.' },
};

/** The steps that somebody with the role may ask for, and what came of the last one. */
export function RotationActions({ ca }: { ca: CaView }) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const write = useWriteFor(caActionView);
  const role = useWhyNot('approver');
  const successor = successorOf(ca);
  const send = (action: Asked) =>
    write.mutate(
      { path: apiPaths.caAction(action === 'force' ? 'activate' : action), method: 'POST', body: action === 'force' ? { force: true } : {} },
      { onSettled: () => setAsked(null) },
    );
  const open = (action: Asked) => {
    write.reset();
    setAsked(action);
  };
  return (
    <>
      {write.error && <Notice tone="bad" urgency="alert" title="Refused: nothing was changed"><FailureText error={write.error} /></Notice>}
      {write.data && <Result done={write.data} />}
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Button kind="primary" whyNot={role ?? (successor ? `A root is ${successor.state} already.` : null)} onPress={() => open('rotate-root')}>Rotate root…</Button>
        <Button whyNot={role} onPress={() => open('rotate-issuer')}>Rotate issuer…</Button>
        <Button whyNot={role ?? (successor ? null : 'No root waits for activation.')} onPress={() => open('activate')}>Activate…</Button>
        {successor && <Button kind="danger" whyNot={role} onPress={() => open('force')}>Activate by force…</Button>}
      </div>
      {asked === 'force' && <ForceDialog ca={ca} busy={write.isPending} onConfirm={() => send('force')} onClose={() => setAsked(null)} />}
      {asked !== null && asked !== 'force' && (
        <Dialog title={QUESTIONS[asked].title} confirm={QUESTIONS[asked].confirm} busy={write.isPending} onConfirm={() => send(asked)} onClose={() => setAsked(null)}>
          <p>{QUESTIONS[asked].means}</p>
          <p className="muted">It is audited.</p>
        </Dialog>
      )}
    </>
  );
}

function Result({ done: { steps, breaking } }: { done: CaActionView }) {
  return (
    <Notice tone={breaking.length > 0 ? 'warn' : 'ok'} urgency="status" title={steps.length === 0 ? 'Nothing had to be done' : 'Done'}>
      <ul>{steps.map(({ step, role, subject }) => <li key={`${step} ${subject}`}>{step} {role} {subject}</li>)}</ul>
      {breaking.length > 0 && <p>Passed over by force, and cannot verify the others from now on: {breaking.join(', ')}</p>}
    </Notice>
  );
}
