'use client';
import { blastView, type BlastView } from '@sallyport/shared/api';
import Link from 'next/link';
import { View } from '../shell/View.tsx';
import { explainWitness } from './call.ts';
import { radiusText } from './reach.ts';
import { By } from './ReachedBy.tsx';
import { useWorkloads } from './useWorkloads.ts';
import { plural, shortIdentity } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { Select } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

const REFRESH_MS = 60_000;

interface BlastProps {
  readonly from: string;
  readonly onChoose: (from: string) => void;
}

/** How far an attacker gets with one identity, when each workload that is reached falls too. */
export function Blast({ from, onChoose }: BlastProps) {
  const workloads = useWorkloads();
  const own = [{ value: 'plaintext', name: 'anyone in the network (plaintext)' }, ...workloads.map(({ id }) => ({ value: id, name: id }))];
  const options = from === '' || own.some(({ value }) => value === from) ? own : [{ value: from, name: from }, ...own];
  const blast = useView(from === '' ? null : apiPaths.blast(from), blastView, { refreshMs: REFRESH_MS });
  return (
    <>
      <div className="row"><Select label="Compromised" value={from} onChange={onChoose} options={[{ value: '', name: 'choose one' }, ...options]} /></div>
      {from === '' ? <p className="muted">Choose a workload whose identity an attacker holds, to see what falls next.</p> : <View query={blast} subject={`how far ${from} gets`} lines={8} minHeight={300}>{(data) => <Result data={data} />}</View>}
    </>
  );
}

function Result({ data }: { data: BlastView }) {
  const hops = Math.max(0, ...data.hops.map(({ hop }) => hop));
  return (
    <>
      {!data.complete && <Notice tone="warn" title="The search was cut short: more may be reachable" />}
      <Panel title={radiusText(data.reached, data.analysed.workloads, hops)} note={`from ${data.start}`} flush>
        <Table
          caption="Workloads that are reached, hop by hop"
          rows={data.hops}
          rowKey={(row) => row.workload}
          empty="Nothing else is reached with this identity, nor in plaintext."
          columns={[
            { name: 'Hop', right: true, render: (row) => row.hop },
            { name: 'Reached', rowHead: true, render: (row) => <span className="mono">{row.workload}</span> },
            { name: 'Port', right: true, render: (row) => [...new Set(row.ways.map(({ port }) => port))].join(', ') },
            { name: 'From', render: (row) => <span className="mono wrap">{row.from.startsWith('spiffe://') ? shortIdentity(row.from) : row.from}</span> },
            { name: 'As', render: (row) => (row.as === null ? <Tag tone="warn">plaintext</Tag> : <span className="mono wrap" title={row.as}>{shortIdentity(row.as)}</span>) },
            { name: 'By', render: (row) => (row.ways[0] ? <By way={row.ways[0]} /> : null) },
            { name: 'Example', render: (row) => (row.ways[0] ? <Link href={explainWitness(row.ways[0].witness)} prefetch={false}>Explain one<span className="visually-hidden"> to {row.workload}</span></Link> : null) },
          ]}
        />
      </Panel>
      <p className="muted">
        Each workload that is reached is taken to fall and to give away its identity; plaintext is always tried too, since nothing makes an attacker show a certificate. Source:{' '}
        {plural(data.analysed.policies, 'stored authorization policy', 'stored authorization policies')} and {plural(data.analysed.workloads, 'registered workload')}.{data.reached > data.hops.length && ` Only the first ${data.hops.length} are listed.`}
      </p>
    </>
  );
}
