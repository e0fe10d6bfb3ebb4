'use client';
import { useState } from 'react';
import type { Blocker, StrictPlan } from '@sallyport/shared/api';
import { Ago, WithTimes } from '../shell/Ago.tsx';
import { FailureText } from '../shell/View.tsx';
import { count } from '#lib/format.ts';
import { apiPaths } from '#lib/paths.ts';
import { useWhyNot } from '#lib/session.tsx';
import { useWrite } from '#lib/write.ts';
import { Button } from '#ui/Button.tsx';
import { Dialog } from '#ui/Dialog.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

/** Everything that stands in the way, each with its place, its weight and its remedy. */
export function Blockers({ plan }: { plan: StrictPlan }) {
  // Kept here, because the row that offered it changes as soon as the workload has its proxy.
  const [enrolled, setEnrolled] = useState<readonly string[]>([]);
  return (
    <>
      {enrolled.length > 0 && (
        <Notice tone="ok" urgency="status" title={`${enrolled.join(', ')} is enrolled`}>
          <p>Its calls go through a proxy from now on. The plaintext that it sent before stays in the way until it has left the window.</p>
        </Notice>
      )}
      <Panel
        title="In the way"
        note={plan.blockers.length === 0 ? undefined : `${plan.blockers.length} found`}
        actions={plan.ready ? <Tag tone="ok">ready</Tag> : <Tag tone="bad">not ready</Tag>}
        flush
      >
        <Table
          caption="What stands in the way of strict"
          rows={plan.blockers}
          rowKey={keyOf}
          empty={plan.ready ? 'Nothing. No plaintext arrived in the window, and the proxies covered it.' : 'The operator names nothing, and still does not call it ready.'}
          columns={[
            { name: 'What', rowHead: true, render: (blocker) => <WithTimes text={blocker.message} /> },
            { name: 'Caller', render: (blocker) => <Source blocker={blocker} /> },
            { name: 'Target', render: (blocker) => <span className="mono">{blocker.destination.service ?? blocker.destination.workload ?? blocker.destination.namespace}{blocker.port !== null && `:${blocker.port}`}</span> },
            { name: 'Calls', right: true, render: (blocker) => (blocker.kind === 'plaintext-caller' ? count(blocker.count) : '–') },
            { name: 'Last seen', right: true, render: (blocker) => <Ago at={blocker.lastSeen} never="–" /> },
            { name: 'Remedy', render: (blocker) => <Remedy blocker={blocker} onEnrolled={(workload) => setEnrolled([...enrolled, workload])} /> },
          ]}
        />
      </Panel>
    </>
  );
}

/** Stays the same while counts and times in the message change, so that a row keeps the focus and its open question. */
function keyOf({ kind, source, destination, port }: Blocker, index: number): string {
  const place = [source.ip, source.workload, destination.workload, port].map((part) => part ?? '').join(' ');
  return kind === 'plaintext-caller' ? `${kind} ${place}` : `${kind} ${place} ${index}`;
}

function Source({ blocker }: { blocker: Blocker }) {
  const { ip, workload } = blocker.source;
  if (ip === null && workload === null) return <>–</>;
  return (
    <span className="mono">
      {ip ?? workload}
      {ip !== null && <span className="muted" style={{ display: 'block' }}>{workload ?? 'no known workload'}</span>}
    </span>
  );
}

function Remedy({ blocker, onEnrolled }: { blocker: Blocker; onEnrolled: (workload: string) => void }) {
  const enrollable = enrollableWorkload(blocker);
  return (
    <div className="stack" style={{ gap: 6, minWidth: 200 }}>
      <WithTimes text={blocker.remedy} />
      {enrollable !== null && <Enroll workload={enrollable} onEnrolled={() => onEnrolled(enrollable)} />}
    </div>
  );
}

/** The workload that enrolling would help: a known plaintext caller, or a workload outside the mesh. */
function enrollableWorkload(blocker: Blocker): string | null {
  if (blocker.kind === 'unmeshed-workload') return blocker.destination.workload === null ? null : withNamespace(blocker.destination.workload, blocker.destination.namespace);
  // One that already has a proxy and calls around it is not helped by enrolling; its remedy says what is.
  return blocker.kind === 'plaintext-caller' && blocker.remedy.includes('workload enroll') ? blocker.source.workload : null;
}

function withNamespace(workload: string, namespace: string): string {
  return workload.includes('/') ? workload : `${namespace}/${workload}`;
}

/** Brings a workload into the mesh after asking. */
export function Enroll({ workload, onEnrolled }: { workload: string; onEnrolled?: () => void }) {
  const [asking, setAsking] = useState(false);
  const enroll = useWrite();
  const role = useWhyNot('editor');
  const [namespace = '', name = ''] = workload.split('/');
  return (
    <div className="stack" style={{ gap: 6 }}>
      <div><Button whyNot={role} onPress={() => setAsking(true)}>Enrol {name}…</Button></div>
      {enroll.error && <Notice tone="bad" urgency="alert" title="Not enrolled"><FailureText error={enroll.error} /></Notice>}
      {enroll.isSuccess && !onEnrolled && <Notice tone="ok" urgency="status" title={`${name} is being enrolled`}><p>Its calls go through a proxy once that has the new configuration. The window must then pass without plaintext.</p></Notice>}
      {asking && (
        <Dialog
          title={`Enrol ${workload}?`}
          confirm="Enrol"
          busy={enroll.isPending}
          onConfirm={() => enroll.mutate({ path: apiPaths.enroll(namespace, name), method: 'POST', body: {} }, { onSuccess: () => onEnrolled?.(), onSettled: () => setAsking(false) })}
          onClose={() => setAsking(false)}
        >
          <p>A proxy takes over its calls and gives it an SVID, so that it calls by mutual TLS under its own identity.</p>
        </Dialog>
      )}
    </div>
  );
}
