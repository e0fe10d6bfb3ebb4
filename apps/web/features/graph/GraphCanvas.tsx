'use client';
import type { GraphEdge, GraphView } from '@sallyport/shared/api';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { draw, type Drawing } from './drawing.ts';
import { elementsOf } from './elements.ts';
import styles from './Graph.module.css';
import { edgeId, nodeName } from './model.ts';
import { useDark } from '../shell/ThemeSwitch.tsx';
import { plural } from '#lib/format.ts';
import { Button } from '#ui/Button.tsx';
import { Notice } from '#ui/Notice.tsx';

interface CanvasProps {
  readonly view: GraphView;
  readonly shown: readonly GraphEdge[];
  readonly searching: boolean;
  readonly selected: string;
  readonly onSelect: (kind: 'node' | 'edge' | 'none', id: string) => void;
}

export function GraphCanvas({ view, shown, searching, selected, onSelect }: CanvasProps) {
  const { container, layer, drawing, failed } = useDrawing(onSelect);
  const [focused, setFocused] = useState('');
  const frame = useRef<HTMLDivElement>(null);
  const dark = useDark();
  useEffect(() => drawing?.recolour(dark ? 'dark' : 'light'), [drawing, dark]);
  useEffect(() => {
    if (!drawing) return;
    drawing.update(elementsOf(view, Date.now()));
    drawing.show(new Set(shown.map(edgeId)), searching);
    drawing.select(selected);
    // What the picture itself holds and how large, so that it can be held against the table and the eye.
    if (!frame.current) return;
    frame.current.dataset['graphEdges'] = String(drawing.shownEdges());
    frame.current.dataset['graphText'] = drawing.textSize().toFixed(1);
  }, [drawing, view, shown, searching, selected]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!drawing) return;
    if (event.key === 'Escape') onSelect('none', '');
    else if (event.key === 'Enter' && focused !== '') onSelect('node', focused);
    else if (event.key === '+' || event.key === '-') drawing.zoom(event.key === '+' ? 1.25 : 0.8);
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight' || event.key === 'ArrowUp' || event.key === 'ArrowDown') setFocused(drawing.step(event.key) ?? focused);
    else return;
    event.preventDefault();
  };
  const label = `Traffic graph, ${plural(view.nodes.length, 'node')} and ${plural(shown.length, 'edge')}. Arrow keys move between nodes, Enter shows one, plus and minus zoom. The table holds the same.`;
  return (
    <div ref={frame} className={styles.frame}>
      {failed && <Notice tone="bad" urgency="alert" title="The picture could not be drawn"><p>Use the table: it holds the same data.</p></Notice>}
      {/* Cytoscape adds a style element, which our content security policy forbids, unless one of this name is there. */}
      <span id="__________cytoscape_stylesheet" hidden />
      {/* The arrows are the picture's own, as in a map. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions */}
      <div ref={container} className={styles.canvas} role="application" aria-label={label} tabIndex={0} onKeyDown={onKeyDown} onBlur={() => drawing?.blur()} />
      <canvas ref={layer} className={styles.layer} aria-hidden="true" />
      <p className="visually-hidden" aria-live="polite">{focused === '' ? '' : describe(view, focused)}</p>
      <div className={styles.controls}>
        <Button label="Zoom in" onPress={() => drawing?.zoom(1.25)}>+</Button>
        <Button label="Zoom out" onPress={() => drawing?.zoom(0.8)}>−</Button>
        <Button onPress={() => drawing?.fit()}>Fit</Button>
        <span className={styles.hint}>Drag to see the rest</span>
      </div>
    </div>
  );
}

function useDrawing(onSelect: CanvasProps['onSelect']) {
  const container = useRef<HTMLDivElement>(null);
  const layer = useRef<HTMLCanvasElement>(null);
  const latest = useRef(onSelect);
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    latest.current = onSelect;
  }, [onSelect]);
  useEffect(() => {
    let gone = false;
    let made: Drawing | null = null;
    const begin = async (into: HTMLElement, above: HTMLCanvasElement) => {
      made = await draw(into, above, { onSelect: (kind, id) => latest.current(kind, id) });
      if (gone) made.destroy();
      else setDrawing(made);
    };
    if (container.current && layer.current) begin(container.current, layer.current).catch(() => setFailed(true));
    return () => {
      gone = true;
      made?.destroy();
      setDrawing(null);
    };
  }, []);
  return { container, layer, drawing, failed };
}

function describe(view: GraphView, id: string): string {
  const called = view.edges.filter((edge) => edge.source === id).length;
  const calling = view.edges.filter((edge) => edge.target === id).length;
  return `${nodeName(id)}: calls ${called}, called by ${calling}`;
}
