import type { Core, ElementDefinition, EdgeSingular, NodeSingular } from 'cytoscape';
import { readColours, type Colours } from './colours.ts';
import { stylesheet } from './stylesheet.ts';

interface DrawingEvents {
  readonly onSelect: (kind: 'node' | 'edge' | 'none', id: string) => void;
}

/** A live picture of the graph inside an element. All changes are differences: what stays the same is not touched. */
export interface Drawing {
  update(elements: readonly ElementDefinition[]): void;
  /** Shows only these edges; the others, and nodes that none of them touches, step back. `searching` decides how far. */
  show(edges: ReadonlySet<string>, searching: boolean): void;
  select(id: string): void;
  /** Moves the keyboard's focus to the nearest node in a direction; answers its id. */
  step(direction: 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown'): string | null;
  blur(): void;
  /** Takes up the colours of a theme; nothing when it has them already. */
  recolour(theme: 'dark' | 'light'): void;
  fit(): void;
  zoom(factor: number): void;
  shownEdges(): number;
  destroy(): void;
}

/** Loads the drawing library, which only this page needs, and draws into `container`; locks go on the layer above. */
export async function draw(container: HTMLElement, layer: HTMLCanvasElement, events: DrawingEvents): Promise<Drawing> {
  const [{ default: cytoscape }, { default: dagre }] = await Promise.all([import('cytoscape'), import('cytoscape-dagre')]);
  cytoscape.use(dagre);
  let colours = readColours(container);
  const cy = cytoscape({ container, style: stylesheet(colours), minZoom: 0.15, maxZoom: 3, autoungrabify: false, boxSelectionEnabled: false });
  cy.on('tap', (event) => {
    const target: unknown = event.target;
    if (target === cy) events.onSelect('none', '');
    else if (isElement(target) && !target.isParent()) events.onSelect(target.isNode() ? 'node' : 'edge', target.id());
  });
  const follow = new ResizeObserver(() => {
    cy.resize();
    cy.fit(undefined, 30);
  });
  follow.observe(container);
  cy.on('render', () => drawLocks(cy, layer, colours));
  return {
    update: (elements) => applyElements(cy, elements),
    show: (edges, searching) => applyFilter(cy, edges, searching),
    select: (id) => {
      cy.elements('.selected').removeClass('selected');
      if (id !== '') cy.getElementById(id).addClass('selected');
    },
    step: (direction) => stepFocus(cy, direction),
    blur: () => void cy.nodes('.focus').removeClass('focus'),
    recolour: (theme) => {
      if (container.dataset['theme'] === theme) return;
      container.dataset['theme'] = theme;
      colours = readColours(container);
      cy.style(stylesheet(colours));
    },
    fit: () => void cy.fit(undefined, 30),
    zoom: (factor) => cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } }),
    shownEdges: () => cy.edges().not('.hidden').length,
    destroy: () => {
      follow.disconnect();
      cy.destroy();
    },
  };
}

function isElement(target: unknown): target is NodeSingular {
  return typeof target === 'object' && target !== null && 'isNode' in target;
}

function applyElements(cy: Core, elements: readonly ElementDefinition[]): void {
  const wanted = new Map(elements.map((element) => [element.data.id ?? '', element]));
  const before = nodeSet(cy);
  cy.batch(() => {
    cy.elements().filter((element) => !wanted.has(element.id())).remove();
    for (const [id, element] of wanted) {
      const present = cy.getElementById(id);
      if (present.empty()) cy.add({ ...element });
      else updateData(present, element.data);
    }
  });
  // The same nodes keep their places; only a change of who is there asks for a new arrangement.
  if (nodeSet(cy) !== before) arrange(cy);
}

function updateData(present: ReturnType<Core['getElementById']>, data: ElementDefinition['data']): void {
  for (const [key, value] of Object.entries(data)) {
    if (key !== 'id' && key !== 'source' && key !== 'target' && key !== 'parent' && present.data(key) !== value) present.data(key, value);
  }
}

function nodeSet(cy: Core): string {
  return cy.nodes().map((node) => node.id()).sort().join('\n');
}

/** Left to right, as calls are read; top to bottom where the picture is higher than wide. */
function arrange(cy: Core): void {
  const narrow = cy.width() < cy.height();
  const options = { name: 'dagre', rankDir: narrow ? 'TB' : 'LR', nodeSep: 22, rankSep: 84, edgeSep: 14, ranker: 'network-simplex', fit: true, padding: 30, animate: false };
  cy.layout(options).run();
}

function applyFilter(cy: Core, edges: ReadonlySet<string>, searching: boolean): void {
  cy.batch(() => {
    cy.edges().forEach((edge) => void edge.toggleClass('hidden', !edges.has(edge.id())));
    const touched = cy.edges().not('.hidden').connectedNodes();
    cy.nodes().not(':parent').forEach((node) => void node.toggleClass('faint', searching && !touched.contains(node)));
  });
}

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as const;

function stepFocus(cy: Core, direction: keyof typeof DIRECTIONS): string | null {
  const nodes = cy.nodes().not(':parent').not('.faint');
  const current = cy.nodes('.focus').first();
  const next = current.empty() ? nodes.first() : nearest(nodes.not(current), current.position(), DIRECTIONS[direction]);
  if (!next || next.empty()) return null;
  cy.nodes('.focus').removeClass('focus');
  next.addClass('focus');
  const box = next.renderedBoundingBox();
  if (box.x1 < 0 || box.y1 < 0 || box.x2 > cy.width() || box.y2 > cy.height()) cy.center(next);
  return next.id();
}

/** The node ahead that is closest, where straying sideways counts double. */
function nearest(nodes: ReturnType<Core['nodes']>, from: { x: number; y: number }, [dx, dy]: readonly [number, number]): NodeSingular | null {
  let best: NodeSingular | null = null;
  let least = Infinity;
  nodes.forEach((node) => {
    const to = node.position();
    const ahead = (to.x - from.x) * dx + (to.y - from.y) * dy;
    const aside = Math.abs((to.x - from.x) * dy) + Math.abs((to.y - from.y) * dx);
    if (ahead > 1 && ahead + 2 * aside < least) {
      least = ahead + 2 * aside;
      best = node;
    }
  });
  return best;
}

/** Locks are drawn and not written: not every machine has a font with the sign. */
function drawLocks(cy: Core, layer: HTMLCanvasElement, colours: Colours): void {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(cy.width() * scale), Math.round(cy.height() * scale)];
  if (layer.width !== width || layer.height !== height) {
    layer.width = width;
    layer.height = height;
  }
  const context = layer.getContext('2d');
  if (!context) return;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, cy.width(), cy.height());
  const size = Math.min(1.6, Math.max(0.6, cy.zoom() * 1.1));
  cy.edges('[?locked]').not('.hidden').forEach((edge) => drawLock(context, edge, size, colours));
}

function drawLock(context: CanvasRenderingContext2D, edge: EdgeSingular, size: number, colours: Colours): void {
  const { x, y } = edge.renderedMidpoint();
  // An edge with words on it wears the lock above them.
  const lift = edge.data('label') === '' ? 0 : 13;
  context.save();
  context.translate(x, y - lift * size);
  context.scale(size, size);
  context.fillStyle = colours.surface;
  context.fillRect(-6.5, -8, 13, 15);
  context.strokeStyle = colours.ok;
  context.fillStyle = colours.ok;
  context.lineWidth = 1.6;
  context.fillRect(-4.5, -1, 9, 6.5);
  context.beginPath();
  context.arc(0, -1.5, 2.9, Math.PI, 0);
  context.stroke();
  context.restore();
}
