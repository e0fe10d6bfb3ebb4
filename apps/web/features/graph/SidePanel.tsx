'use client';
import type { GraphEdge, GraphNode, GraphView } from '@sallyport/shared/api';
import Link from 'next/link';
import { Ago, At } from '../shell/Ago.tsx';
import { ProtectionBar } from '../mesh/ProtectionBar.tsx';
import { ProtectionFigure } from '../mesh/ProtectionFigure.tsx';
import styles from './Graph.module.css';
import { Condition } from './GraphTable.tsx';
import { edgeId, edgeProtection, nodeName, stateWords } from './model.ts';
import { EdgeRefusals } from './Refusals.tsx';
import { StateTag } from './StateTag.tsx';
import { count } from '#lib/format.ts';
import { pages } from '#lib/paths.ts';
import { Button, buttonClass } from '#ui/Button.tsx';
import { Facts } from '#ui/Panel.tsx';

interface SideProps {
  readonly view: GraphView;
  readonly node: string;
  readonly edge: string;
  readonly onSelect: (kind: 'node' | 'edge' | 'none', id: string) => void;
}

/** Everything that is known about the selected edge or node. */
export function SidePanel({ view, node, edge, onSelect }: SideProps) {
  const chosenEdge = view.edges.find((each) => edgeId(each) === edge);
  const chosenNode = view.nodes.find((each) => each.id === node);
  return (
    <aside className={styles.side} aria-label="Selection">
      <div className={styles.sideHead}>
        <h2 className="wrap">{titleOf(chosenEdge, chosenNode, node || edge)}</h2>
        <Button kind="quiet" label="Close the selection" onPress={() => onSelect('none', '')}>✕</Button>
      </div>
      {chosenEdge && <EdgeDetails edge={chosenEdge} view={view} />}
      {chosenNode && <NodeDetails node={chosenNode} view={view} onSelect={onSelect} />}
      {!chosenEdge && !chosenNode && <p>It is not in this window any more. Choose a longer window or another namespace.</p>}
    </aside>
  );
}

function titleOf(edge: GraphEdge | undefined, node: GraphNode | undefined, asked: string): string {
  if (edge) return `${nodeName(edge.source)} → ${nodeName(edge.target)}:${edge.port}`;
  return node ? nodeName(node.id) : asked;
}

function EdgeDetails({ edge, view }: { edge: GraphEdge; view: GraphView }) {
  return (
    <>
      <div className="row"><StateTag edge={edge} /><span className="muted">{stateWords(edge).means}</span></div>
      {edge.state !== 'unused' && (
        <div className="stack" style={{ gap: 5 }}>
          <ProtectionFigure protection={edgeProtection(edge)} wrapping />
          <ProtectionBar calls={edge.mtls} stale={edge.stale} />
        </div>
      )}
      <Facts
        items={[
          ['Calls', `${count(edge.requests)}, of them ${count(edge.denied)} denied`],
          ['Failed', edge.failed === 0 ? '0' : `${count(edge.failed)}, at the handshake or on the way`],
          ['Mutual TLS', count(edge.mtls.mutual)],
          ['Plaintext', count(edge.mtls.plaintext)],
          ['Unknown', count(edge.mtls.unknown)],
          ['Last seen', <Ago key="l" at={edge.lastSeen} />],
          ['Declared', edge.declared ? 'yes' : 'no'],
        ]}
      />
      <EdgeRefusals edge={edge} view={view} />
      <Reporters edge={edge} view={view} />
      <Calls edge={edge} />
      <div>
        <h3>Policies that decided</h3>
        {edge.policies.length === 0 ? <p className="muted">None.</p> : (
          <ul className={styles.list}>{edge.policies.map((policy) => <li key={policy}><Link href={pages.policies({ policy })} prefetch={false}>{policy}</Link></li>)}</ul>
        )}
      </div>
      <WizardLink target={edge.target} />
    </>
  );
}

function Reporters({ edge, view }: { edge: GraphEdge; view: GraphView }) {
  return (
    <div>
      <h3>Reported by</h3>
      {edge.reporters.length === 0 && <p className="muted">Nobody: it was not seen in the window.</p>}
      {edge.stale && <p>A proxy that should have reported this edge left a gap: what is missing here proves nothing.</p>}
      <ul className={styles.list}>
        {edge.reporters.map((name) => {
          const proxy = view.coverage.proxies.find((each) => each.name === name);
          return (
            <li key={name}>
              <code>{name}</code>
              <span>{!proxy ? 'not enrolled now' : proxy.live ? <>live, <Ago at={proxy.lastReport} /></> : proxy.lastReport === null ? 'no data' : <>no data since <At at={proxy.lastReport} /></>}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Calls({ edge }: { edge: GraphEdge }) {
  if (edge.methods.length === 0) return null;
  return (
    <div>
      <h3>Methods and paths</h3>
      <ul className={styles.list}>
        {edge.methods.map((call) => (
          <li key={`${call.method} ${call.path}`}>
            <code>{call.method} {call.path}</code>
            <span>{count(call.requests)}{call.denied > 0 && ` (✕ ${count(call.denied)})`}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function NodeDetails({ node, view, onSelect }: { node: GraphNode; view: GraphView; onSelect: SideProps['onSelect'] }) {
  const list = (title: string, edges: readonly GraphEdge[], other: 'source' | 'target') => (
    <div>
      <h3>{title}</h3>
      {edges.length === 0 && <p className="muted">Nobody in this window.</p>}
      <ul className={styles.list}>
        {edges.map((edge) => (
          <li key={edgeId(edge)}>
            <button type="button" className={styles.link} onClick={() => onSelect('edge', edgeId(edge))}>{nodeName(edge[other])}:{edge.port}</button>
            <StateTag edge={edge} />
          </li>
        ))}
      </ul>
    </div>
  );
  return (
    <>
      <Facts
        items={[
          ['Kind', node.kind],
          ['Telemetry', <Condition key="c" node={node} view={view} />],
          ['Identity', node.spiffeId === null ? 'none known' : <span key="i" className="mono">{node.spiffeId}</span>],
          ['Proxies', node.proxies.length === 0 ? 'none' : node.proxies.map((proxy) => `${proxy.name}${proxy.live ? '' : ' (silent)'}`).join(', ')],
          ['Workloads', node.workloads.join(', ') || 'none'],
        ]}
      />
      {list('Called by', view.edges.filter((edge) => edge.target === node.id), 'source')}
      {list('Calls', view.edges.filter((edge) => edge.source === node.id), 'target')}
      {node.namespace !== '' && <p><Link href={pages.namespace(node.namespace)} prefetch={false}>Namespace {node.namespace}</Link></p>}
      <WizardLink target={node.id} />
    </>
  );
}

function WizardLink({ target }: { target: string }) {
  const service = /^service:([^/]+)\/(.+)$/.exec(target);
  if (!service) return null;
  return (
    <div>
      <Link href={pages.newPolicy({ step: 'allow', ns: service[1], service: service[2] })} prefetch={false} className={buttonClass()}>Write a policy for {service[2]}</Link>
    </div>
  );
}
