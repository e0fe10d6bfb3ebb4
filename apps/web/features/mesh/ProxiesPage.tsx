'use client';
import { proxiesView, type ProxiesView } from '@sallyport/shared/api';
import { Ago, At } from '../shell/Ago.tsx';
import { View } from '../shell/View.tsx';
import { duration, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { Notice } from '#ui/Notice.tsx';
import { PageHead, Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

type Proxy = ProxiesView['items'][number];

export function ProxiesPage() {
  const proxies = useView(apiPaths.proxies(), proxiesView);
  return (
    <>
      <PageHead title="Proxies" lead="Who carries the calls, whether they report, and which configuration they run. A proxy that loses the operator keeps its last good configuration." />
      <View query={proxies} subject="the proxies" lines={6}>
        {(data) => (
          <>
            {data.items.filter((proxy) => proxy.nack !== null).map((proxy) => (
              <Notice key={proxy.name} tone="bad" title={`Proxy ${proxy.name} refused its configuration and runs the one before`}>
                <p className="mono">{proxy.nack}</p>
              </Notice>
            ))}
            <ProxyTable data={data} />
          </>
        )}
      </View>
    </>
  );
}

function ProxyTable({ data }: { data: ProxiesView }) {
  return (
    <Panel title="Enrolled proxies" note={`${plural(data.items.length, 'proxy', 'proxies')} · store revision ${data.revision}`} flush>
      <Table
        caption="Enrolled proxies"
        rows={data.items}
        rowKey={(proxy) => proxy.name}
        empty="No proxy is enrolled. Without one there is no telemetry, and nothing is protected or known."
        columns={[
          { name: 'Proxy', rowHead: true, render: (proxy) => <span className="mono">{proxy.name}</span> },
          { name: 'Role', render: (proxy) => proxy.role },
          { name: 'Telemetry', render: (proxy) => <Telemetry proxy={proxy} /> },
          { name: 'Control stream', render: (proxy) => (proxy.connected ? <Tag tone="ok">connected</Tag> : <Tag tone="warn">not connected</Tag>) },
          { name: 'Configuration', render: (proxy) => <Configuration proxy={proxy} revision={data.revision} /> },
          { name: 'Last ACK', right: true, render: (proxy) => <Ago at={proxy.lastAck} /> },
          { name: 'Workloads', right: true, render: (proxy) => proxy.workloads },
          { name: 'Enrolled', right: true, render: (proxy) => <Ago at={proxy.enrolledAt} /> },
        ]}
      />
    </Panel>
  );
}

function Telemetry({ proxy }: { proxy: Proxy }) {
  if (proxy.live) return <span className="row"><Tag tone="ok">live</Tag><Ago at={proxy.lastReport} /></span>;
  if (proxy.lastReport === null) return <Tag tone="idle">no data ever</Tag>;
  return <span className="row"><Tag tone="bad">no data</Tag><span>since <At at={proxy.lastReport} /></span></span>;
}

function Configuration({ proxy, revision }: { proxy: Proxy; revision: string }) {
  if (proxy.configVersion === null) return <Tag tone="idle">never configured: denies all</Tag>;
  return (
    <span className="row">
      <span className="mono">{proxy.configVersion}</span>
      {proxy.nack !== null && <Tag tone="bad">NACK</Tag>}
      {proxy.configVersion !== revision && <span className="muted">store is at {revision}</span>}
      {proxy.configAgeSeconds !== null && <span className="muted">{duration(proxy.configAgeSeconds * 1000)} old</span>}
    </span>
  );
}
