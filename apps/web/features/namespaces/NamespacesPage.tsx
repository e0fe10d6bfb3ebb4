'use client';
import { namespacesView, type NamespacesView } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { ProtectionBar } from '../mesh/ProtectionBar.tsx';
import { ProtectionFigure } from '../mesh/ProtectionFigure.tsx';
import { ModeTag } from './ModeTag.tsx';
import { count, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { hasGaps, protectionOf } from '#lib/protection.ts';
import { useWindow } from '#lib/urlState.ts';
import { PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

export function NamespacesPage() {
  const [window] = useWindow();
  const namespaces = useView(apiPaths.namespaces(window), namespacesView);
  return (
    <>
      <PageHead title="Namespaces" lead="How each namespace is protected, by what is set and by what was seen." actions={<WindowPicker />} />
      <View query={namespaces} subject="the namespaces" lines={8}>
        {(data) => (
          <>
            <CoverageNotice coverage={data.coverage} />
            <NamespaceTable data={data} />
            <SourceLine coverage={data.coverage} window={data.window} />
          </>
        )}
      </View>
    </>
  );
}

type Item = NamespacesView['items'][number];

function NamespaceTable({ data }: { data: NamespacesView }) {
  // Which proxies serve which namespace is not in this view, so any silence casts doubt on all of it, except where
  // every workload of the namespace has a live proxy and nothing was missing from the window.
  const stale = (item: Item) => item.workloads.live < item.workloads.meshed || hasGaps(data.coverage);
  return (
    <Panel title="All namespaces" note={plural(data.items.length, 'namespace')} flush>
      <Table
        caption="Namespaces"
        rows={data.items}
        rowKey={(item) => item.name}
        empty="There is no namespace yet. Apply workloads and services to begin: sallyport apply -f FILE."
        columns={[
          { name: 'Namespace', rowHead: true, render: (item) => <Link href={pages.namespace(item.name)} prefetch={false}>{item.name}</Link> },
          {
            name: 'Mode set',
            render: (item) => (
              <span className="row">
                <ModeTag mode={item.mode} />
                <span className="muted" style={{ whiteSpace: 'nowrap' }}>{item.modeSource === null ? (item.mode === 'MIXED' ? 'workloads differ' : 'default') : `from ${item.modeSource}`}</span>
              </span>
            ),
          },
          {
            name: 'Protection seen',
            render: (item) => (
              <div style={{ display: 'grid', gap: 4, minWidth: 150 }}>
                <ProtectionFigure protection={protectionOf(item.mtls, stale(item))} wrapping />
                <ProtectionBar calls={item.mtls} stale={stale(item)} />
              </div>
            ),
          },
          { name: 'Calls', right: true, render: (item) => count(item.mtls.mutual + item.mtls.plaintext + item.mtls.unknown) },
          { name: 'Denied', right: true, render: (item) => count(item.denied) },
          { name: 'Live / meshed / all workloads', right: true, render: (item) => `${item.workloads.live} / ${item.workloads.meshed} / ${item.workloads.total}` },
          { name: 'Services', right: true, render: (item) => item.services },
          { name: 'Policies', right: true, render: (item) => item.policies },
          { name: 'Stage', render: (item) => <Link href={pages.namespace(item.name, { tab: 'maturity' })} prefetch={false}>{item.stage ?? 'not yet Pilot'}</Link> },
        ]}
      />
    </Panel>
  );
}
