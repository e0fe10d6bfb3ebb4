import type { StylesheetJson } from 'cytoscape';
import type { Colours } from './colours.ts';

/** The height of a node's name, in the picture's own pixels. */
export const NAME_SIZE = 14;

/** Diagonal lines for what is not known: a node without live reports must look like nothing that is well. */
function hatch(colour: string): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M-2 2l4-4M0 8l8-8M6 10l4-4" stroke="${colour}" stroke-width="1.2"/></svg>`;
  return `data:image/svg+xml;utf8,${encodeURIComponent(svg)}`;
}

/** How the graph is drawn. Each state has a line pattern or a word of its own; colour only repeats it. */
export function stylesheet(c: Colours): StylesheetJson {
  const font = 'system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
  return [
    ...nodeStyles(c, font),
    ...edgeStyles(c, font),
    { selector: '.faint', style: { opacity: 0.13, 'text-opacity': 0.13, events: 'no' } },
    { selector: 'edge.hidden', style: { display: 'none' } },
    { selector: 'node.focus', style: { 'outline-width': 3, 'outline-color': c.accent, 'outline-offset': 3 } },
  ];
}

function nodeStyles(c: Colours, font: string): StylesheetJson {
  return [
    {
      selector: 'node',
      style: {
        shape: 'round-rectangle', label: 'data(label)', 'font-family': font, 'font-size': NAME_SIZE,
        color: c.text, 'text-valign': 'center', 'text-halign': 'center', 'text-wrap': 'wrap', 'background-color': c.surface,
        'border-width': 1.2, 'border-color': c.strong, 'overlay-opacity': 0,
      },
    },
    { selector: 'node[width]', style: { width: 'data(width)', height: 'data(height)' } },
    { selector: 'node[kind = "workload"]', style: { shape: 'cut-rectangle' } },
    { selector: 'node[kind = "address"]', style: { shape: 'hexagon', 'border-style': 'dashed', 'font-size': 13 } },
    {
      selector: 'node:parent',
      style: {
        shape: 'round-rectangle', 'background-color': c.raised, 'background-opacity': 0.75, 'border-color': c.line, 'border-width': 1,
        label: 'data(label)', 'text-valign': 'top', 'text-halign': 'center', 'text-margin-y': -4, color: c.muted, 'font-size': 14, padding: '14px',
      },
    },
    {
      selector: 'node[condition = "silent"], node[condition = "outside"]',
      style: {
        'background-image': hatch(c.strong), 'background-repeat': 'repeat', 'background-fit': 'none', 'background-image-opacity': 0.55,
        'border-style': 'dashed', 'border-color': c.idle, color: c.text, 'text-background-color': c.surface, 'text-background-opacity': 1,
        'text-background-padding': '2px',
      },
    },
    { selector: 'node[condition = "partly"]', style: { 'border-style': 'dashed', 'border-color': c.warn } },
    { selector: 'node.selected', style: { 'border-color': c.accent, 'border-width': 2.5, 'background-color': c.soft } },
  ];
}

function edgeStyles(c: Colours, font: string): StylesheetJson {
  return [
    {
      selector: 'edge',
      style: {
        width: 1.6, 'curve-style': 'bezier', 'target-arrow-shape': 'triangle', 'arrow-scale': 0.9, 'line-color': c.idle, 'target-arrow-color': c.idle,
        label: 'data(label)', 'font-family': font, 'font-size': 12.5, color: c.text, 'text-wrap': 'wrap', 'text-background-color': c.surface,
        'text-background-opacity': 0.94, 'text-background-padding': '2px', 'text-background-shape': 'roundrectangle', 'overlay-opacity': 0,
      },
    },
    { selector: 'edge[state = "expected"]', style: { 'line-color': c.muted, 'target-arrow-color': c.muted } },
    { selector: 'edge[state = "undeclared"]', style: { 'line-style': 'dashed', 'line-dash-pattern': [7, 4], 'line-color': c.warn, 'target-arrow-color': c.warn, width: 2 } },
    {
      selector: 'edge[state = "denied"]',
      style: { 'line-color': c.bad, 'target-arrow-color': c.bad, 'target-arrow-shape': 'tee', color: c.bad, width: 2, 'arrow-scale': 1.2 },
    },
    // Nobody said no here: it looks like a call that stops short, not like a verdict.
    { selector: 'edge[?failed]', style: { 'line-color': c.idle, 'target-arrow-color': c.idle, color: c.text } },
    { selector: 'edge[state = "unused"]', style: { 'line-style': 'dotted', 'line-color': c.idle, 'target-arrow-color': c.idle, width: 1.4, opacity: 0.8 } },
    { selector: 'edge[?stale][state != "unused"]', style: { 'line-opacity': 0.55 } },
    { selector: 'edge.selected', style: { width: 4, 'z-index': 9 } },
  ];
}
