'use client';
import { certificatesView, type Certificate, type CertificatesView } from '@sallyport/shared/api';
import Link from 'next/link';
import { Ago } from '../shell/Ago.tsx';
import { View } from '../shell/View.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { percent, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { matches } from '#lib/matches.ts';
import { apiPaths, pages } from '#lib/paths.ts';
import { useUrlState } from '#lib/urlState.ts';
import { Bar } from '#ui/Bar.tsx';
import { Input, Select } from '#ui/Field.tsx';
import { Facts, PageHead, Panel, Stat, Stats } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

const STATES: Readonly<Record<Certificate['state'], { tone: Tone; means: string }>> = {
  served: { tone: 'ok', means: 'the proxy says it serves this one' },
  recorded: { tone: 'idle', means: 'issued, not yet seen in a report' },
  overdue: { tone: 'warn', means: 'past its rotation time' },
  expired: { tone: 'bad', means: 'no longer valid: calls with it are refused' },
};

export function IdentitiesPage() {
  const certificates = useView(apiPaths.certificates(), certificatesView);
  return (
    <>
      <PageHead title="Identities" lead="The newest SVID of each workload: who it says it is, who signed that, how much of its life has passed and when it rotates." />
      <View query={certificates} subject="the certificates" lines={10} minHeight={420}>
        {(data) => (
          <>
            <CoverageNotice coverage={data.coverage} />
            <div className="columns">
              <Rotation data={data} />
              <Chain data={data} />
            </div>
            <Inventory data={data} />
            <SourceLine coverage={data.coverage} />
          </>
        )}
      </View>
    </>
  );
}

function Rotation({ data }: { data: CertificatesView }) {
  const share = data.pastHalfRotationInterval;
  const tally = (state: Certificate['state']) => data.items.filter((item) => item.state === state).length;
  return (
    <Panel title="Rotation">
      <div className="stack">
        <Stats>
          <Stat name="Past half of the rotation interval" value={share === null ? 'unknown' : percent(share, 1)} />
          <Stat name="Served" value={tally('served')} />
          <Stat name="Recorded only" value={tally('recorded')} />
          <Stat name="Overdue" value={tally('overdue')} />
          <Stat name="Expired" value={tally('expired')} />
        </Stats>
        <p className="muted">
          Certificates rotate at half of their life. Ages spread evenly between two rotations, so about half of them past the middle of the interval is
          normal. Well above that means rotations are failing; watch the overdue ones.
        </p>
      </div>
    </Panel>
  );
}

function Chain({ data }: { data: CertificatesView }) {
  return (
    <Panel title="Signed by">
      <Facts
        items={[
          ['Issuer', <span key="i" className="mono">{data.issuer.subject}</span>],
          ['Issuer serial', <span key="s" className="mono">{data.issuer.serial}</span>],
          ['Issuer ends', <Ago key="e" at={data.issuer.notAfter} />],
          ['Trust anchor', <span key="r" className="mono">{data.root.subject}</span>],
          ['Fingerprint', <span key="f" className="mono">{data.root.fingerprint}</span>],
          ['Anchor ends', <Ago key="a" at={data.root.notAfter} />],
        ]}
      />
    </Panel>
  );
}

function Inventory({ data }: { data: CertificatesView }) {
  const url = useUrlState();
  const find = url.get('find');
  const state = url.get('state');
  const rows = data.items.filter((item) => (state === '' || item.state === state) && matches(item, find));
  return (
    <Panel
      title="Certificates"
      note={plural(rows.length, 'certificate')}
      actions={
        <span className="row">
          <Select label="State" value={state} onChange={(value) => url.set({ state: value })} options={[{ value: '', name: 'all' }, ...Object.keys(STATES).map((value) => ({ value, name: value }))]} />
          <Input label="Find" type="search" value={find} onChange={(value) => url.set({ find: value })} />
        </span>
      }
      flush
    >
      <Table
        caption="Certificates"
        rows={rows}
        rowKey={(item) => `${item.spiffeId} ${item.serial} ${item.proxy}`}
        empty={data.items.length === 0 ? 'No certificate has been issued yet.' : 'None fits these filters.'}
        columns={[
          { name: 'SPIFFE ID', rowHead: true, render: (item) => <span className="mono wrap">{item.spiffeId}</span> },
          { name: 'Workload', render: (item) => (item.workload === null ? <span className="muted">proxy</span> : `${item.namespace ?? ''}/${item.workload}`) },
          { name: 'Reach', render: (item) => (item.workload === null ? <span className="muted">–</span> : <Link href={pages.reach({ tab: 'from', from: `${item.namespace ?? ''}/${item.workload}` })} prefetch={false}>If compromised<span className="visually-hidden">: {item.namespace}/{item.workload}</span></Link>) },
          { name: 'State', render: (item) => <span title={STATES[item.state].means}><Tag tone={STATES[item.state].tone}>{item.state}</Tag></span> },
          { name: 'Life passed', render: (item) => <Life item={item} /> },
          { name: 'Rotates', right: true, render: (item) => <Ago at={item.nextRotation} /> },
          { name: 'Ends', right: true, render: (item) => <Ago at={item.notAfter} /> },
          { name: 'Serial', render: (item) => <span className="mono" title={item.serial}>{item.serial.length > 14 ? `${item.serial.slice(0, 14)}…` : item.serial}</span> },
          { name: 'Issuer', render: (item) => item.issuer },
          { name: 'Proxy', render: (item) => <span className="mono">{item.proxy}</span> },
        ]}
      />
    </Panel>
  );
}

function Life({ item }: { item: Certificate }) {
  const tone = STATES[item.state].tone;
  return (
    <div style={{ minWidth: 120 }}>
      <Bar parts={[{ name: 'passed', value: item.lifetimeUsed, tone: tone === 'ok' ? 'info' : tone }]} whole={1} mark={0.5} label={`${percent(item.lifetimeUsed, 1)} of its life has passed; it rotates at 50 %`} />
      <span className="muted">{percent(item.lifetimeUsed, 1)}</span>
    </div>
  );
}
