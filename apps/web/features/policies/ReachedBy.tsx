'use client';
import { reachView, type ReachView, type WayView } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { explainWitness } from './call.ts';
import { callsText, howText } from './reach.ts';
import { useWorkloads } from './useWorkloads.ts';
import { plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { Select } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

const REFRESH_MS = 60_000;

interface ReachedByProps {
  readonly to: string;
  readonly onChoose: (to: string) => void;
}

/** One workload and everybody who can get in: by which rule, or because nothing restricts. */
export function ReachedBy({ to, onChoose }: ReachedByProps) {
  const workloads = useWorkloads();
  const choices = workloads.some(({ id }) => id === to) || to === '' ? workloads : [{ id: to, meshed: true }, ...workloads];
  const reach = useView(to === '' ? null : apiPaths.reach(to), reachView, { refreshMs: REFRESH_MS });
  return (
    <>
      <div className="row"><Select label="Workload" value={to} onChange={onChoose} options={[{ value: '', name: 'choose one' }, ...choices.map(({ id }) => ({ value: id, name: id }))]} /></div>
      {to === '' ? <p className="muted">Choose a workload to see who can reach it.</p> : <View query={reach} subject={`who can reach ${to}`} lines={8} minHeight={300}>{(data) => <Result data={data} />}</View>}
    </>
  );
}

interface Row {
  readonly who: ReachView['by'][number];
  readonly way: WayView;
}

function Result({ data }: { data: ReachView }) {
  const rows = data.by.flatMap((who) => who.ways.map((way): Row => ({ who, way })));
  const open = data.by.some(({ kind }) => kind === 'plaintext' || kind === 'stranger');
  return (
    <>
      {!data.complete && <Notice tone="warn" title="The search was cut short: more may be able to reach it" />}
      {open && <Notice tone="warn" title={`${data.workload} can be reached by callers that no policy names`}><p>See the rows for plaintext or for any other identity below: nothing restricts them, or a rule is meant for everybody.</p></Notice>}
      <Panel title={`Who can reach ${data.workload}`} note={plural(data.total, 'kind of caller', 'kinds of caller')} flush>
        <Table
          caption={`Who can reach ${data.workload}`}
          rows={rows}
          rowKey={({ who, way }) => `${who.label} ${way.port} ${way.protocol}`}
          empty="Nobody: no call of any identity, and none in plaintext, is let in."
          columns={[
            { name: 'Who', rowHead: true, render: ({ who }) => <Who who={who} /> },
            { name: 'Port', right: true, render: ({ way }) => way.port },
            { name: 'mTLS', render: ({ way }) => way.mode ?? <Tag tone="bad">none</Tag> },
            { name: 'Calls let in', render: ({ way }) => callsText(way) },
            { name: 'By', render: ({ way }) => <By way={way} /> },
            { name: 'Example', render: ({ way, who }) => <Link href={explainWitness(way.witness)} prefetch={false}>Explain one<span className="visually-hidden"> of {who.label} to port {way.port}</span></Link> },
          ]}
        />
      </Panel>
      <p className="muted">
        Source: {plural(data.analysed.policies, 'stored authorization policy', 'stored authorization policies')} and {plural(data.analysed.workloads, 'registered workload')}, by exact comparison; no recorded call is
        needed for it.{data.total > data.by.length && ` Only ${data.by.length} of ${data.total} are listed; all are in sallyport policy reach.`}
      </p>
    </>
  );
}

function Who({ who }: { who: Row['who'] }) {
  if (who.principal === null) return <Tag tone="warn">{who.label}</Tag>;
  if (who.kind === 'stranger') return <Tag tone="warn">{who.label}</Tag>;
  return (
    <span className="mono wrap">
      {who.workloads.length > 0 ? who.workloads.slice(0, 3).join(', ') : who.label}
      <span className="muted" style={{ display: 'block', fontWeight: 400 }}>{who.workloads.length > 0 ? who.principal : 'named by a policy; no workload has this identity'}</span>
    </span>
  );
}

/** The rule that lets somebody in, with a link to its policy; or that nothing restricts. */
export function By({ way }: { way: WayView }) {
  if (way.how === null) return <span className="wrap">{howText(way)}</span>;
  return <Link href={pages.policies({ policy: way.how.policy })} prefetch={false}>{howText(way)}</Link>;
}
