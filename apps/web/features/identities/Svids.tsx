'use client';
import type { CaView, Certificate, CertificatesView } from '@sallyport/shared/api';
import Link from 'next/link';
import { chainOf, missedRotation, nextRotation, shortName } from './rotation.ts';
import styles from './Identities.module.css';
import { Life } from './Life.tsx';
import { Ago } from '../shell/Ago.tsx';
import { percent, plural } from '#lib/format.ts';
import { matches } from '#lib/matches.ts';
import { pages } from '#lib/paths.ts';
import { useUrlState } from '#lib/urlState.ts';
import { Input, Select } from '#ui/Field.tsx';
import { Panel, Stat, Stats } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag, type Tone } from '#ui/Tag.tsx';

const STATES: Readonly<Record<Certificate['state'], { tone: Tone; means: string }>> = {
  served: { tone: 'ok', means: 'the proxy says it serves this one' },
  recorded: { tone: 'idle', means: 'issued, not yet seen in a report' },
  overdue: { tone: 'warn', means: 'past its rotation time' },
  expired: { tone: 'bad', means: 'no longer valid: calls with it are refused' },
};

/** Whether rotation works, in figures, with what is normal. */
export function Rotation({ data }: { data: CertificatesView }) {
  const share = data.pastHalfRotationInterval;
  const tally = (state: Certificate['state']) => data.items.filter((item) => item.state === state).length;
  return (
    <Panel title="Rotation">
      <div className="stack">
        <Stats>
          <Stat name="Past half of the rotation interval" value={share === null ? 'unknown' : percent(share, 1)} note="of the workloads" />
          <Stat name="Next rotation" value={<Ago at={nextRotation(data.items)} never="none" />} />
          <Stat name="Missed rotations" value={data.items.filter(missedRotation).length} note={`${tally('overdue')} overdue, ${tally('expired')} expired`} />
          <Stat name="Served" value={tally('served')} />
          <Stat name="Recorded only" value={tally('recorded')} />
        </Stats>
        <p className="muted">
          Certificates rotate at half of their life. Ages spread evenly between two rotations, so about half of them past the middle of the interval is
          normal. Well above that means rotations are failing; watch the missed ones. After a start of the whole mesh all are of the same age, and the share
          swings between none and all until they have spread.
        </p>
      </div>
    </Panel>
  );
}

interface SvidsProps {
  readonly data: CertificatesView;
  /** Null while it is not known. */
  readonly ca: CaView | null;
}

/** The inventory of SVIDs. */
export function Svids({ data, ca }: SvidsProps) {
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
          { name: 'Workload', render: (item) => <Workload item={item} /> },
          { name: 'State', render: (item) => <span title={STATES[item.state].means}><Tag tone={STATES[item.state].tone}>{item.state}</Tag></span> },
          { name: 'Life passed', render: (item) => <Life used={item.lifetimeUsed} tone={lifeTone(item.state)} mark={0.5} note="it rotates at 50 %" /> },
          { name: 'Rotates', right: true, render: (item) => <Rotates item={item} /> },
          { name: 'Ends', right: true, render: (item) => <Ago at={item.notAfter} /> },
          { name: 'Chain', render: (item) => <Chain issuer={item.issuer} ca={ca} /> },
          { name: 'Serial', render: (item) => <span className="mono" title={item.serial}>{item.serial.length > 14 ? `${item.serial.slice(0, 14)}…` : item.serial}</span> },
          { name: 'Proxy', render: (item) => <span className="mono">{item.proxy}</span> },
        ]}
      />
    </Panel>
  );
}

/** Whose it is, with the way to what somebody could reach who stole it. */
function Workload({ item: { namespace, workload } }: { item: Certificate }) {
  if (workload === null) return <span className="muted">proxy</span>;
  const id = `${namespace ?? ''}/${workload}`;
  return <>{id}<Link className={styles.reach} href={pages.reach({ tab: 'from', from: id })} prefetch={false}>If compromised<span className="visually-hidden">: {id}</span></Link></>;
}

function lifeTone(state: Certificate['state']): Tone {
  return state === 'served' ? 'info' : STATES[state].tone;
}

function Rotates({ item }: { item: Certificate }) {
  if (!missedRotation(item)) return <Ago at={item.nextRotation} />;
  return <><Tag tone="bad">missed</Tag> <Ago at={item.nextRotation} /></>;
}

/** Who signed it and what that leads to, each with its state where that is not the usual one. */
function Chain({ issuer, ca }: { issuer: string; ca: CaView | null }) {
  if (ca === null) return <>{issuer}<span className={styles.above}>its root is not known now</span></>;
  const chain = chainOf(issuer, ca.certificates);
  const states = [chain.issuer, chain.root].map((entry) => entry && entry.state !== 'active' && <Tag key={entry.id} tone="idle" mark="">{entry.state}</Tag>);
  return (
    <span className={styles.chain} title={chain.root ? `${issuer}, under ${chain.root.subject}` : issuer}>
      {shortName(issuer, ca.trustDomain)} {states[0]}
      <span className={styles.above}>{chain.root ? <>under {shortName(chain.root.subject, ca.trustDomain)} {states[1]}</> : 'no longer listed by the CA'}</span>
    </span>
  );
}
