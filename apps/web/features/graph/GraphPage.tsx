'use client';
import { graphView, type GraphView } from '@sallyport/shared/api';
import { useMemo } from 'react';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import styles from './Graph.module.css';
import { GraphCanvas } from './GraphCanvas.tsx';
import { GraphTable } from './GraphTable.tsx';
import { Legend } from './Legend.tsx';
import { EDGE_STATES, readStates, shownEdges } from './model.ts';
import { SidePanel } from './SidePanel.tsx';
import { NamespaceSelect } from '../namespaces/NamespaceSelect.tsx';
import { plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useUrlState, useWindow } from '#lib/urlState.ts';
import { Button } from '#ui/Button.tsx';
import { Check, Input } from '#ui/Field.tsx';
import { Notice } from '#ui/Notice.tsx';
import { PageHead } from '#ui/Panel.tsx';

export function GraphPage() {
  const url = useUrlState();
  const [window] = useWindow();
  const namespace = url.get('namespace');
  const graph = useView(apiPaths.graph(window, namespace || undefined), graphView);
  const table = url.get('view') === 'table';
  return (
    <>
      <PageHead
        title="Traffic graph"
        lead="What the proxies reported, set against what was declared."
        actions={
          <>
            <Button pressed={!table} onPress={() => url.set({ view: '' })}>Picture</Button>
            <Button pressed={table} onPress={() => url.set({ view: 'table' })}>Table</Button>
          </>
        }
      />
      <Toolbar />
      <View query={graph} subject="the traffic graph" lines={14} minHeight={560}>
        {(data) => <Graph view={data} table={table} />}
      </View>
    </>
  );
}

function Toolbar() {
  const url = useUrlState();
  const states = readStates(url.get('states'));
  const toggle = (state: (typeof EDGE_STATES)[number], on: boolean) => {
    const next = EDGE_STATES.filter((each) => (each === state ? on : states.has(each)));
    url.set({ states: next.length === EDGE_STATES.length || next.length === 0 ? '' : next.join(',') });
  };
  return (
    <div className={styles.toolbar}>
      <NamespaceSelect value={url.get('namespace')} onChange={(namespace) => url.set({ namespace, node: '', edge: '' })} />
      <WindowPicker />
      <Input label="Find a name, port, path or policy" type="search" value={url.get('find')} onChange={(find) => url.set({ find })} />
      <fieldset className={styles.states}>
        <legend>Edges</legend>
        {EDGE_STATES.map((state) => <Check key={state} checked={states.has(state)} onChange={(on) => toggle(state, on)}>{state === 'denied' ? 'denied or failed' : state}</Check>)}
      </fieldset>
    </div>
  );
}

function Graph({ view, table }: { view: GraphView; table: boolean }) {
  const url = useUrlState();
  const [node, edge, find, states] = [url.get('node'), url.get('edge'), url.get('find'), url.get('states')];
  const shown = useMemo(() => shownEdges(view, { states: readStates(states), find }), [view, states, find]);
  const select = (kind: 'node' | 'edge' | 'none', id: string) => url.set({ node: kind === 'node' ? id : '', edge: kind === 'edge' ? id : '' });
  const side = node !== '' || edge !== '';
  return (
    <>
      <CoverageNotice coverage={view.coverage} />
      {(view.hidden.nodes > 0 || view.hidden.edges > 0) && (
        <Notice tone="warn" title={`This is not the whole: ${plural(view.hidden.nodes, 'node')} and ${plural(view.hidden.edges, 'edge')} are left out`}>
          <p>Choose a namespace to see all of it. Denied, undeclared and plaintext edges are kept first.</p>
        </Notice>
      )}
      {view.nodes.length === 0 ? <Empty view={view} /> : (
        <div className={styles.stage} data-side={side}>
          {table ? (
            <GraphTable view={view} shown={shown} selected={node || edge} onSelect={select} />
          ) : (
            <GraphCanvas view={view} shown={shown} searching={find !== ''} selected={node || edge} onSelect={select} />
          )}
          {side && <SidePanel view={view} node={node} edge={edge} onSelect={select} />}
        </div>
      )}
      <Legend />
      <p className="muted" aria-live="polite">{plural(shown.length, 'edge')} of {view.edges.length} shown, {plural(view.nodes.length, 'node')}.</p>
      <SourceLine coverage={view.coverage} window={view.window} />
    </>
  );
}

function Empty({ view }: { view: GraphView }) {
  return (
    <Notice tone="idle" title="Nothing to draw in this window">
      <p>
        {view.coverage.proxiesReporting === 0
          ? 'No proxy reported in it, so calls may well have happened: nobody could tell. See the proxies for why.'
          : 'No service is declared here and no call was reported. Choose a longer window or another namespace.'}
      </p>
    </Notice>
  );
}
