'use client';
import type { GraphEdge, GraphNode, GraphView } from '@sallyport/shared/api';
import { Fragment } from 'react';
import { Ago, At } from '../shell/Ago.tsx';
import { ProtectionFigure } from '../mesh/ProtectionFigure.tsx';
import styles from './Graph.module.css';
import { edgeId, edgeProtection, nodeCondition, nodeName } from './model.ts';
import { Reasons, useRefusals } from './Refusals.tsx';
import { StateTag } from './StateTag.tsx';
import { count, plural, shortIdentity } from '#lib/format.ts';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';
import { Tag } from '#ui/Tag.tsx';

interface GraphTableProps {
  readonly view: GraphView;
  readonly shown: readonly GraphEdge[];
  readonly selected: string;
  readonly onSelect: (kind: 'node' | 'edge', id: string) => void;
}

/** The graph as two tables: the same edges and nodes as the picture, for whoever cannot or would not read that. */
export function GraphTable({ view, shown, selected, onSelect }: GraphTableProps) {
  const refusals = useRefusals(view, shown);
  return (
    <div className="stack">
      <Panel title="Edges" note={plural(shown.length, 'edge')} flush>
        <Table
          caption="Edges of the traffic graph"
          rows={shown}
          rowKey={edgeId}
          selected={selected}
          empty="No edge fits these filters. Nothing was hidden but by them and by the window."
          columns={[
            {
              name: 'From',
              rowHead: true,
              render: (edge) => (
                <button type="button" className={styles.link} onClick={() => onSelect('edge', edgeId(edge))} aria-label={`Show the edge from ${nodeName(edge.source)} to ${nodeName(edge.target)}, port ${edge.port}`}>
                  <Name id={edge.source} />
                </button>
              ),
            },
            { name: 'To', render: (edge) => <><Name id={edge.target} />:{edge.port}</> },
            { name: 'Protocol', render: (edge) => edge.protocol },
            { name: 'State', render: (edge) => <><StateTag edge={edge} /><Reasons edge={edge} known={refusals} /></> },
            { name: 'Calls', right: true, render: (edge) => count(edge.requests) },
            { name: 'Denied', right: true, render: (edge) => count(edge.denied) },
            { name: 'Failed', right: true, render: (edge) => count(edge.failed) },
            { name: 'Protection', render: (edge) => (edge.state === 'unused' ? <span className="muted">never seen</span> : <ProtectionFigure protection={edgeProtection(edge)} wrapping />) },
            { name: 'Reported by', render: (edge) => <span className="mono">{edge.reporters.join(', ') || '–'}</span> },
            { name: 'Last seen', right: true, render: (edge) => <Ago at={edge.lastSeen} /> },
          ]}
        />
      </Panel>
      <Panel title="Nodes" note={plural(view.nodes.length, 'node')} flush>
        <Table
          caption="Nodes of the traffic graph"
          rows={view.nodes}
          rowKey={(node) => node.id}
          selected={selected}
          empty="There is no service or caller in this window."
          columns={[
            { name: 'Node', rowHead: true, render: (node) => <button type="button" className={styles.link} onClick={() => onSelect('node', node.id)}><Name id={node.id} /></button> },
            { name: 'Kind', render: (node) => node.kind },
            { name: 'Identity', render: (node) => (node.spiffeId === null ? <span className="muted">none known</span> : <span className="mono" title={node.spiffeId}>{shortIdentity(node.spiffeId)}</span>) },
            { name: 'Telemetry', render: (node) => <Condition node={node} view={view} /> },
            { name: 'Workloads', render: (node) => <span className="mono">{node.workloads.join(', ') || '–'}</span> },
          ]}
        />
      </Panel>
    </div>
  );
}

/** A node's name that breaks, if it must, between namespace and name. */
function Name({ id }: { id: string }) {
  const [first, ...rest] = nodeName(id).split('/');
  return <>{first}{rest.map((part) => <Fragment key={part}>/<wbr />{part}</Fragment>)}</>;
}

const KNOWN = {
  live: { tone: 'ok', text: 'live' },
  partly: { tone: 'warn', text: 'partly reporting' },
  outside: { tone: 'idle', text: 'outside the mesh' },
  address: { tone: 'idle', text: 'unknown peer' },
} as const;

/** What is known about a node now, in words. */
export function Condition({ node, view }: { node: GraphNode; view: GraphView }) {
  const condition = nodeCondition(node, view.coverage);
  if (condition.kind === 'foreign') return <Tag tone="info">of {condition.trustDomain}</Tag>;
  if (condition.kind !== 'silent') return <Tag tone={KNOWN[condition.kind].tone}>{KNOWN[condition.kind].text}</Tag>;
  if (condition.since === null) return <Tag tone="idle">no data ever</Tag>;
  return <span className="row"><Tag tone="idle">no data</Tag><span>since <At at={condition.since} /> from proxy <code>{condition.proxy}</code></span></span>;
}
