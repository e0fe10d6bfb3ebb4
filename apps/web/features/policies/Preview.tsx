'use client';
import type { Impact, PreviewView } from '@sallyport/shared/api';
import type { ReactNode } from 'react';
import { Ago } from '../shell/Ago.tsx';
import { Peer } from '../identities/Peer.tsx';
import { count, plural, sentence } from '#lib/format.ts';
import { hasGaps } from '#lib/protection.ts';
import { Diff } from '#ui/Code.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel, Stat, Stats } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

/**
 * What the proposed YAML would have done to the calls of the window, by the evaluator that the proxies run.
 *
 * @param props.beyond what it does to calls that nobody made in the window
 */
export function Preview({ preview, current, beyond }: { preview: PreviewView; current: boolean; beyond: ReactNode }) {
  const denied = preview.wouldDeny.reduce((total, impact) => total + impact.requests, 0);
  const allowed = preview.wouldAllow.reduce((total, impact) => total + impact.requests, 0);
  return (
    <>
      <p aria-live="polite" className="muted">{current ? `Replayed ${plural(preview.evaluated, 'recorded call')} of the window. Nothing is written yet.` : 'Computing the impact of your last change…'}</p>
      {preview.warnings.map((warning) => (
        <Notice key={`${warning.code} ${warning.message}`} tone="warn" title={sentence(warning.message)}><p>{sentence(warning.remedy)}</p></Notice>
      ))}
      {hasGaps(preview.coverage) && <Notice tone="idle" title="Parts of the window were not reported: callers may be missing from this impact" />}
      <Panel title="Impact">
        <Stats>
          <Stat name="Would be denied" value={<span data-preview="deny">{count(denied)}</span>} note={plural(preview.wouldDeny.length, 'kind of call', 'kinds of call')} />
          <Stat name="Would be allowed anew" value={count(allowed)} note={plural(preview.wouldAllow.length, 'kind of call', 'kinds of call')} />
          <Stat name="Stay allowed" value={count(preview.unchanged.allowed)} />
          <Stat name="Stay denied" value={count(preview.unchanged.denied)} />
        </Stats>
      </Panel>
      <ImpactTable title="Would be denied" rows={preview.wouldDeny} empty="No recorded call that is let in now would be denied." />
      <ImpactTable title="Would be allowed anew" rows={preview.wouldAllow} empty="No recorded call that is denied now would be let in." />
      {beyond}
      <Panel title="Change against what is stored">
        {preview.diff.trim() === '' ? <p className="muted">No change: this is stored already.</p> : <Diff label="Change against what is stored" text={preview.diff} />}
      </Panel>
    </>
  );
}

function ImpactTable({ title, rows, empty }: { title: string; rows: readonly Impact[]; empty: string }) {
  return (
    <Panel title={title} flush>
      <Table
        caption={title}
        rows={rows}
        rowKey={(row) => `${row.source.principal ?? ''} ${row.source.ip} ${row.destination.workload} ${row.destination.port} ${row.method ?? ''} ${row.path ?? ''} ${row.mtls}`}
        empty={empty}
        columns={[
          { name: 'Caller', rowHead: true, render: (row) => <span><Peer source={row.source} />{row.mtls !== 'mutual' && <Tag tone={row.mtls === 'plaintext' ? 'bad' : 'idle'}>{row.mtls}</Tag>}</span> },
          { name: 'Call', render: (row) => <span className="mono wrap">{row.method === null ? 'tcp' : `${row.method} ${row.path ?? ''}`} → {row.destination.service ?? row.destination.workload}:{row.destination.port}</span> },
          { name: 'Calls', right: true, render: (row) => count(row.requests) },
          { name: 'Why', render: (row) => <span>{sentence(row.explanation)}{row.approximate && <span className="muted"> (one of several paths was replayed)</span>}</span> },
          { name: 'Last seen', right: true, render: (row) => <Ago at={row.lastSeen} /> },
        ]}
      />
    </Panel>
  );
}
