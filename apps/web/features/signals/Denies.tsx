'use client';
import { deniesView, type DeniesView } from '@sallyport/shared/api';
import Link from 'next/link';
import { At } from '../shell/Ago.tsx';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { NamespaceSelect } from '../namespaces/NamespaceSelect.tsx';
import { Peer } from '../identities/Peer.tsx';
import { matches } from '#lib/matches.ts';
import { explainDeny } from '../policies/call.ts';
import { reasonText } from './reasons.ts';
import { count, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { useUrlState, useWindow } from '#lib/urlState.ts';
import { Input } from '#ui/Field.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

type Deny = DeniesView['items'][number];

/** Calls that a proxy refused, newest first: identity, target, method, path, and what decided. */
export function Denies() {
  const [window] = useWindow();
  const url = useUrlState();
  const namespace = url.get('namespace');
  const denies = useView(apiPaths.denies(window, namespace || undefined), deniesView);
  const find = url.get('find');
  return (
    <>
      <div className="row" style={{ alignItems: 'flex-end' }}>
        <WindowPicker />
        <NamespaceSelect value={namespace} onChange={(value) => url.set({ namespace: value })} />
        <Input label="Find" type="search" value={find} onChange={(value) => url.set({ find: value })} />
      </div>
      <View query={denies} subject="the denied calls" lines={8}>
        {(data) => {
          const rows = data.items.filter((deny) => matches(deny, find));
          return (
            <>
              <CoverageNotice coverage={data.coverage} />
              <Panel title="Denied calls" note={noteOf(data, rows.length)} flush>
                <DenyTable rows={rows} />
              </Panel>
              <SourceLine coverage={data.coverage} window={data.window} />
            </>
          );
        }}
      </View>
    </>
  );
}

function noteOf(data: DeniesView, shown: number): string {
  return data.total > data.items.length || shown < data.items.length ? `${count(shown)} shown of ${count(data.total)}` : plural(data.total, 'call');
}

function DenyTable({ rows }: { rows: readonly Deny[] }) {
  return (
    <Table
      caption="Denied calls, newest first"
      rows={rows}
      rowKey={(deny, index) => `${deny.at} ${index}`}
      empty="No refused call was reported in this window."
      columns={[
        { name: 'When', render: (deny) => <At at={deny.at} /> },
        { name: 'Who', rowHead: true, render: (deny) => <Peer source={deny.source} /> },
        { name: 'Target', render: (deny) => <span className="mono">{deny.destination.namespace}/{deny.destination.service ?? deny.destination.workload}:{deny.destination.port}</span> },
        { name: 'Call', render: (deny) => <span className="mono wrap">{deny.method === null ? 'tcp' : `${deny.method} ${deny.path ?? ''}`}</span> },
        {
          name: 'Why',
          render: (deny) => (
            <span>
              {reasonText(deny.reason)}{' '}
              <Link href={explainDeny(deny)} prefetch={false}>Why?<span className="visually-hidden"> The call of {deny.source.principal ?? deny.source.ip} to {deny.destination.namespace}/{deny.destination.workload}</span></Link>
            </span>
          ),
        },
        {
          name: 'Policy',
          render: (deny) => (deny.policy === null ? <span className="muted">none</span> : <Link href={pages.policies({ policy: deny.policy })} prefetch={false}>{deny.policy}</Link>),
        },
        { name: 'Reported by', render: (deny) => <span className="mono">{deny.reporter}</span> },
      ]}
    />
  );
}
