'use client';
import { deniesView, type DeniesView, type GraphEdge, type GraphView } from '@sallyport/shared/api';
import Link from 'next/link';
import { useMemo } from 'react';
import { reasonText } from '../signals/reasons.ts';
import styles from './Graph.module.css';
import { edgeId } from './model.ts';
import { hasRefusals, refusalsOf, type Refusal } from './refusals.ts';
import { count } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths, pages } from '#lib/paths.ts';
import { useWindow } from '#lib/urlState.ts';

interface KnownRefusals {
  readonly byEdge: ReadonlyMap<string, readonly Refusal[]>;
  readonly data: DeniesView | undefined;
  readonly failed: boolean;
}

/** Why calls on these edges were refused; asked only when any was. */
export function useRefusals(view: GraphView, edges: readonly GraphEdge[], namespace?: string): KnownRefusals {
  const [window] = useWindow();
  const { data, isError } = useView(edges.some(hasRefusals) ? apiPaths.denies(window, namespace) : null, deniesView);
  const byEdge = useMemo(() => refusalsOf(view, data?.items ?? []), [view, data]);
  return { byEdge, data, failed: isError };
}

/** Why calls on an edge were refused, in words, for a table; nothing where no reason is known. */
export function Reasons({ edge, known }: { edge: GraphEdge; known: KnownRefusals }) {
  const refusals = known.byEdge.get(edgeId(edge)) ?? [];
  return <>{refusals.map(({ reason }) => <span key={reason} className={styles.reason}>{reasonText(reason)}</span>)}</>;
}

/** What was refused on an edge and why, apart from its calls. */
export function EdgeRefusals({ edge, view }: { edge: GraphEdge; view: GraphView }) {
  const namespace = view.nodes.find((node) => node.id === edge.target)?.namespace;
  const known = useRefusals(view, [edge], namespace || undefined);
  if (!hasRefusals(edge)) return null;
  const refusals = known.byEdge.get(edgeId(edge)) ?? [];
  return (
    <div>
      <h3>Refused, and why</h3>
      {known.failed && !known.data && <p className="muted">The reasons could not be read.</p>}
      {known.data && refusals.length === 0 && <p className="muted">No single refusal was reported.</p>}
      <ul className={styles.list}>
        {refusals.map(({ reason, count: times }) => <li key={reason}><span>{reasonText(reason)}</span><span>{count(times)}</span></li>)}
      </ul>
      {known.data && known.data.total > known.data.items.length && (
        <p className="muted">Among the newest {count(known.data.items.length)} refusals of {count(known.data.total)}.</p>
      )}
      <p><Link href={pages.signals({ tab: 'denies', namespace })} prefetch={false}>All denied calls of {namespace}</Link></p>
    </div>
  );
}
