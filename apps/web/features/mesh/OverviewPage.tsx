'use client';
import { overviewView, type OverviewView } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { SeverityTag } from '../signals/SeverityTag.tsx';
import { Ago } from '../shell/Ago.tsx';
import { count, percent, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, ownPath, pages } from '#lib/paths.ts';
import { hasGaps, protectionOf } from '#lib/protection.ts';
import { useWindow } from '#lib/urlState.ts';
import { PageHead, Panel, Stat, Stats } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { CoverageNotice, SourceLine } from './CoverageNote.tsx';
import { FirstRun } from './FirstRun.tsx';
import { ProtectionBar } from './ProtectionBar.tsx';
import { ProtectionFigure } from './ProtectionFigure.tsx';

export function OverviewPage() {
  const [window] = useWindow();
  const overview = useView(apiPaths.overview(window), overviewView);
  return (
    <>
      <PageHead title="Overview" lead="The state of the mesh as its proxies reported it." actions={<WindowPicker />} />
      <FirstRun />
      <View query={overview} subject="the overview" lines={12} minHeight={460}>
        {(data) => <Overview data={data} window={window} />}
      </View>
    </>
  );
}

function Overview({ data, window }: { data: OverviewView; window: string }) {
  return (
    <>
      <CoverageNotice coverage={data.coverage} />
      <div className="columns">
        <Protection data={data} />
        <Edges data={data} window={window} />
        <Mesh data={data} />
      </div>
      <OpenSignals data={data} />
      <Stages data={data} />
      <SourceLine coverage={data.coverage} window={data.window} />
    </>
  );
}

function Protection({ data }: { data: OverviewView }) {
  const protection = protectionOf(data.calls, hasGaps(data.coverage));
  return (
    <Panel title="Protection of calls" note={<ProtectionFigure protection={protection} wrapping />}>
      <div className="stack">
        <ProtectionBar calls={data.calls} stale={hasGaps(data.coverage)} />
        <Stats>
          <Stat name="Calls that arrived" value={count(data.calls.requests)} note={data.calls.requests === 0 ? 'none reported' : undefined} />
          <Stat name="Mutual TLS" value={count(data.calls.mutual)} note={percent(data.calls.mutual, data.calls.mutual + data.calls.plaintext + data.calls.unknown)} />
          <Stat name="Plaintext" value={count(data.calls.plaintext)} />
          <Stat name="Unknown" value={count(data.calls.unknown)} />
          <Stat name="Denied" value={<Link href={pages.signals({ tab: 'denies' })} prefetch={false}>{count(data.calls.denied)}</Link>} />
        </Stats>
      </div>
    </Panel>
  );
}

function Edges({ data, window }: { data: OverviewView; window: string }) {
  const link = (state: keyof OverviewView['edges']) => (
    <Link href={pages.graph({ view: 'table', states: state, window })} prefetch={false}>{count(data.edges[state])}</Link>
  );
  return (
    <Panel title="Edges against the expected graph">
      <Stats>
        <Stat name="Expected" value={link('expected')} note="declared and seen" />
        <Stat name="Undeclared" value={link('undeclared')} note="seen, not declared" />
        <Stat name="Denied" value={link('denied')} note="only refusals seen" />
        <Stat name="Unused" value={link('unused')} note="allowed, never seen" />
      </Stats>
    </Panel>
  );
}

function Mesh({ data }: { data: OverviewView }) {
  const { certificates, counts } = data;
  return (
    <Panel title="Inventory">
      <Stats>
        <Stat name="Namespaces" value={<Link href={pages.namespaces()} prefetch={false}>{counts.namespaces}</Link>} />
        <Stat name="Services" value={counts.services} />
        <Stat name="Workloads in the mesh" value={`${counts.meshed} / ${counts.workloads}`} />
        <Stat name="Policies" value={<Link href={pages.policies()} prefetch={false}>{counts.policies}</Link>} />
        <Stat
          name="Certificates"
          value={<Link href={pages.identities()} prefetch={false}>{certificates.total}</Link>}
          note={certificates.total === 0 ? 'none issued' : `${certificates.overdue} overdue, ${certificates.expired} expired`}
        />
      </Stats>
    </Panel>
  );
}

function OpenSignals({ data }: { data: OverviewView }) {
  return (
    <Panel title="Open signals" note={plural(data.openSignals.length, 'signal')} flush>
      <Table
        caption="Open signals"
        rows={data.openSignals}
        rowKey={(signal) => signal.id}
        empty={hasGaps(data.coverage) ? 'No signal is open, but parts of the mesh did not report: this is no proof of quiet.' : 'No signal is open in what the proxies reported.'}
        columns={[
          { name: 'Severity', render: (signal) => <SeverityTag severity={signal.severity} /> },
          { name: 'Signal', rowHead: true, render: (signal) => <Link href={ownPath(signal.link)} prefetch={false}>{signal.title}</Link> },
          { name: 'About', render: (signal) => <span className="mono wrap">{signal.subject}</span> },
          { name: 'Count', right: true, render: (signal) => count(signal.count) },
          { name: 'Last seen', right: true, render: (signal) => <Ago at={signal.lastSeen} /> },
        ]}
      />
    </Panel>
  );
}

function Stages({ data }: { data: OverviewView }) {
  return (
    <Panel title="Maturity" note="Pilot, Production, Default, Platform" flush>
      <Table
        caption="Maturity stage of each namespace"
        rows={data.stages}
        rowKey={(row) => row.namespace}
        empty="There is no namespace yet. Apply workloads and services to begin."
        columns={[
          { name: 'Namespace', rowHead: true, render: (row) => <Link href={pages.namespace(row.namespace, { tab: 'maturity' })} prefetch={false}>{row.namespace}</Link> },
          { name: 'Stage reached', render: (row) => row.stage ?? <span className="muted">not yet Pilot</span> },
        ]}
      />
    </Panel>
  );
}
