'use client';
import { signalsView, type SignalView } from '@sallyport/shared/api';
import Link from 'next/link';
import { Ago } from '../shell/Ago.tsx';
import { View } from '../shell/View.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { Denies } from './Denies.tsx';
import { SeverityTag } from './SeverityTag.tsx';
import { count, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, ownPath } from '#lib/paths.ts';
import { useUrlState } from '#lib/urlState.ts';
import { Select } from '#ui/Field.tsx';
import { PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tabs } from '#ui/Tabs.tsx';
import { Tag } from '#ui/Tag.tsx';

const TABS = [
  { id: 'open', name: 'Open signals' },
  { id: 'closed', name: 'Closed signals' },
  { id: 'denies', name: 'Denied calls' },
] as const;

export function SignalsPage() {
  const url = useUrlState();
  const tab = TABS.find((each) => each.id === url.get('tab'))?.id ?? 'open';
  return (
    <>
      <PageHead title="Signals" lead="What stands out against the usual, each with the rule that raised it, and every call that a proxy refused." />
      <Tabs label="Signals" tabs={TABS} selected={tab} onSelect={(id) => url.set({ tab: id === 'open' ? '' : id })}>
        {tab === 'denies' ? <Denies /> : <Signals key={tab} state={tab} />}
      </Tabs>
    </>
  );
}

function Signals({ state }: { state: 'open' | 'closed' }) {
  const signals = useView(apiPaths.signals(state), signalsView);
  const url = useUrlState();
  const severity = url.get('severity');
  return (
    <View query={signals} subject="the signals" lines={6}>
      {(data) => {
        const rows = data.items.filter((signal) => severity === '' || signal.severity === severity);
        return (
          <>
            <CoverageNotice coverage={data.coverage} />
            <div className="row">
              <Select
                label="Severity"
                value={severity}
                onChange={(value) => url.set({ severity: value })}
                options={[{ value: '', name: 'all' }, ...['critical', 'warning', 'info'].map((value) => ({ value, name: value }))]}
              />
            </div>
            <Panel title={state === 'open' ? 'Open' : 'Closed'} note={plural(rows.length, 'signal')} flush>
              <SignalTable rows={rows} state={state} />
            </Panel>
            <SourceLine coverage={data.coverage} />
          </>
        );
      }}
    </View>
  );
}

function SignalTable({ rows, state }: { rows: readonly SignalView[]; state: 'open' | 'closed' }) {
  return (
    <Table
      caption={`Signals, ${state}`}
      rows={rows}
      rowKey={(signal) => signal.id}
      empty={state === 'open' ? 'No signal is open in what the proxies reported. Look at the coverage before taking that for quiet.' : 'No signal has been closed yet.'}
      columns={[
        { name: 'Severity', render: (signal) => <SeverityTag severity={signal.severity} /> },
        {
          name: 'Signal',
          rowHead: true,
          render: (signal) => (
            <span>
              <Link href={ownPath(signal.link)} prefetch={false}>{signal.title}</Link>
              <span className="muted" style={{ display: 'block', fontWeight: 400 }}>{signal.detail}</span>
            </span>
          ),
        },
        { name: 'Kind', render: (signal) => <Tag tone="info">{signal.kind}</Tag> },
        { name: 'About', render: (signal) => <span className="mono wrap">{signal.subject}</span> },
        { name: 'Count', right: true, render: (signal) => count(signal.count) },
        { name: 'Opened', right: true, render: (signal) => <Ago at={signal.openedAt} /> },
        { name: state === 'open' ? 'Last seen' : 'Closed', right: true, render: (signal) => <Ago at={state === 'open' ? signal.lastSeen : signal.closedAt} /> },
        { name: 'ATT&CK candidates', render: (signal) => <span className="mono">{signal.techniques.join(', ') || '–'}</span> },
      ]}
    />
  );
}
