'use client';
import type { NamespaceDetail } from '@sallyport/shared/api';
import Link from 'next/link';
import { At } from '../shell/Ago.tsx';
import { Enroll } from './Blockers.tsx';
import { ModeTag } from './ModeTag.tsx';
import { plural } from '#lib/format.ts';
import { pages } from '#lib/paths.ts';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

type Workload = NamespaceDetail['workloadList'][number];

export function Workloads({ detail }: { detail: NamespaceDetail }) {
  return (
    <Panel title="Workloads" note={plural(detail.workloadList.length, 'workload')} flush>
      <Table
        caption={`Workloads of ${detail.name}`}
        rows={detail.workloadList}
        rowKey={(workload) => workload.name}
        empty="No workload is registered in this namespace."
        columns={[
          { name: 'Workload', rowHead: true, render: (workload) => workload.name },
          { name: 'Identity', render: (workload) => <span className="mono wrap">{workload.spiffeId}</span> },
          { name: 'Reach', render: (workload) => <Link href={pages.reach({ to: `${detail.name}/${workload.name}` })} prefetch={false}>Who can reach it<span className="visually-hidden">: {detail.name}/{workload.name}</span></Link> },
          { name: 'Address', render: (workload) => <span className="mono">{workload.address}</span> },
          { name: 'Proxy', render: (workload) => <Proxy workload={workload} namespace={detail.name} /> },
          {
            name: 'Ports and mode set',
            render: (workload) => (
              <ul className="stack" style={{ gap: 3 }}>
                {workload.ports.map((port) => <li key={port.port} className="row"><span className="mono">{port.port}/{port.protocol}</span><ModeTag mode={port.mode} /></li>)}
                {workload.ports.length === 0 && <li className="muted">takes no calls</li>}
              </ul>
            ),
          },
        ]}
      />
    </Panel>
  );
}

function Proxy({ workload, namespace }: { workload: Workload; namespace: string }) {
  if (workload.trustDomain !== null) return <Tag tone="info">of {workload.trustDomain}</Tag>;
  if (workload.proxy === null) return <div className="stack" style={{ gap: 6 }}><div><Tag tone="idle">outside the mesh</Tag></div><Enroll workload={`${namespace}/${workload.name}`} /></div>;
  return (
    <span className="row">
      <span className="mono">{workload.proxy}</span>
      {workload.proxyLive ? <Tag tone="ok">live</Tag> : <Tag tone="idle">no data</Tag>}
      {!workload.proxyLive && <span>{workload.lastReport === null ? 'ever' : <>since <At at={workload.lastReport} /></>}</span>}
    </span>
  );
}
