'use client';
import { diffView, type DiffView } from '@sallyport/shared/api';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import Link from 'next/link';
import { FailureText, View } from '../shell/View.tsx';
import { callLine, explainWitness } from './call.ts';
import { classText, diffSummary } from './classes.ts';
import styles from './Policies.module.css';
import { plural, sentence } from '#lib/format.ts';
import { apiPaths } from '#lib/paths.ts';
import { ApiFailure, request } from '#lib/request.ts';
import { useSession } from '#lib/session.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

/** Which calls change verdict, whether or not anybody ever made them: an exact comparison, not a replay. */
export function DiffPanel({ manifest }: { manifest: string }) {
  const session = useSession();
  const diff = useQuery({
    queryKey: [apiPaths.diff(), manifest],
    queryFn: async ({ signal }) => request(apiPaths.diff(), diffView, { method: 'POST', body: { manifest }, signal, ...(session ? { csrfToken: session.csrfToken } : {}) }),
    placeholderData: keepPreviousData,
    staleTime: 15_000,
  });
  const tooLarge = diff.error instanceof ApiFailure && diff.error.code === 'too-large' ? diff.error : null;
  return (
    <Panel title="Beyond what was recorded" note={diff.data && !diff.isPlaceholderData ? `${plural(diff.data.workloads.compared, 'workload')} compared` : 'comparing …'}>
      {tooLarge ? (
        <Notice tone="warn" title="Not computed"><FailureText error={tooLarge} /></Notice>
      ) : (
        <View query={diff} subject="the comparison with what is stored" lines={4} minHeight={120}>{(data) => <Classes data={data} />}</View>
      )}
    </Panel>
  );
}

type Change = DiffView['changes'][number];

function toneOf(effect: string): Tone {
  return effect === 'ALLOW' ? 'ok' : effect === 'DENY' ? 'bad' : 'warn';
}

function Classes({ data }: { data: DiffView }) {
  const { tone, title, text } = diffSummary(data);
  return (
    <div className="stack">
      <Notice tone={tone} title={title}><p>{text}</p></Notice>
      {data.notes.map((note) => <p key={note} className="muted">{sentence(note)}</p>)}
      {data.changes.length > 0 && (
        <Table
          caption="Classes of calls whose verdict changes"
          rows={data.changes}
          rowKey={(_, index) => String(index)}
          empty=""
          columns={[
            { name: 'Calls', rowHead: true, render: (change) => <Where change={change} /> },
            { name: 'For example', render: (change) => <Witness change={change} /> },
          ]}
        />
      )}
      {data.more > 0 && <p className="muted">And {plural(data.more, 'more class', 'more classes')}: see <code>sallyport policy diff --after FILE</code>.</p>}
    </div>
  );
}

function Where({ change }: { change: Change }) {
  return (
    <ul className={styles.parts}>
      <li className="row" style={{ gap: 4 }}><Tag tone={toneOf(change.before)}>{change.before}</Tag><span aria-hidden="true">→</span><span className="visually-hidden">becomes</span><Tag tone={toneOf(change.after)}>{change.after}</Tag></li>
      <li>to <span className="mono">{change.workloads.slice(0, 5).join(', ')}</span>{change.workloads.length > 5 && ` and ${change.workloads.length - 5} more`}, {change.protocol} port {change.ports.join(', ')}</li>
      {change.where.map((part) => <li key={part.field}><span className="muted">{part.field}</span> <span className="mono">{classText(part)}</span></li>)}
    </ul>
  );
}

function Witness({ change }: { change: Change }) {
  const { call, before, after } = change.witness;
  return (
    <ul className={styles.parts}>
      <li className="mono">{callLine(call)}</li>
      <li>Before: {sentence(before)}</li>
      <li>After: {sentence(after)}</li>
      <li><Link href={explainWitness(call)} prefetch={false}>Explain under what is stored<span className="visually-hidden">: {callLine(call)}</span></Link></li>
    </ul>
  );
}
