import type { Core, ElementDefinition, NodeSingular } from 'cytoscape';
import { readColours } from './colours.ts';
import { drawLocks } from './lockLayer.ts';
import { NAME_SIZE, stylesheet } from './stylesheet.ts';
import { Following, isPhone, isUpright } from './viewport.ts';

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
  /** How high the names of nodes are on the screen, in pixels. */
  textSize(): number;
  destroy(): void;
}

/** Loads the drawing library, which only this page needs, and draws into `container`; locks go on the layer above. */
export async function draw(container: HTMLElement, layer: HTMLCanvasElement, events: DrawingEvents): Promise<Drawing> {
  const [{ default: cytoscape }, { default: dagre }] = await Promise.all([import('cytoscape'), import('cytoscape-dagre')]);
  cytoscape.use(dagre);
  let colours = readColours(container);
  const cy = cytoscape({ container, style: stylesheet(colours), minZoom: 0.15, maxZoom: 3, autoungrabify: false, boxSelectionEnabled: false });
  tellTaps(cy, events);
  const view = new Following(cy, () => arrange(cy));
  const follow = new ResizeObserver(() => view.resized());
  follow.observe(container);
  cy.on('render', () => drawLocks(cy, layer, colours));
  return {
    update: (elements) => {
      // The same nodes keep their places; only a change of who is there asks for a new arrangement.
      if (applyElements(cy, elements)) view.arrange();
    },
    show: (edges, searching) => applyFilter(cy, edges, searching),
    select: (id) => select(cy, view, id),
    step: (direction) => {
      const next = stepFocus(cy, direction);
      if (next !== null) view.reveal(cy.getElementById(next));
      return next;
    },
    blur: () => void cy.nodes('.focus').removeClass('focus'),
    recolour: (theme) => {
      if (container.dataset['theme'] === theme) return;
      container.dataset['theme'] = theme;
      colours = readColours(container);
      cy.style(stylesheet(colours));
    },
    fit: () => view.showWhole(),
    zoom: (factor) => view.zoom(factor),
    shownEdges: () => cy.edges().not('.hidden').length,
    textSize: () => NAME_SIZE * cy.zoom(),
    destroy: () => {
      follow.disconnect();
      cy.destroy();
    },
  };
}

function tellTaps(cy: Core, events: DrawingEvents): void {
  cy.on('tap', (event) => {
    const target: unknown = event.target;
    if (target === cy) events.onSelect('none', '');
    else if (isElement(target) && !target.isParent()) events.onSelect(target.isNode() ? 'node' : 'edge', target.id());
  });
}

/** What is selected already is not brought back into the frame: somebody may have moved it out. */
function select(cy: Core, view: Following, id: string): void {
  const chosen = cy.getElementById(id);
  if (chosen.hasClass('selected')) return;
  cy.elements('.selected').removeClass('selected');
  if (chosen.empty()) return;
  chosen.addClass('selected');
  view.reveal(chosen);
}

function isElement(target: unknown): target is NodeSingular {
  return typeof target === 'object' && target !== null && 'isNode' in target;
}

/** @returns whether nodes came or went */
function applyElements(cy: Core, elements: readonly ElementDefinition[]): boolean {
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
  return nodeSet(cy) !== before;
}

function updateData(present: ReturnType<Core['getElementById']>, data: ElementDefinition['data']): void {
  for (const [key, value] of Object.entries(data)) {
    if (key !== 'id' && key !== 'source' && key !== 'target' && key !== 'parent' && present.data(key) !== value) present.data(key, value);
  }
}

function nodeSet(cy: Core): string {
  return cy.nodes().map((node) => node.id()).sort().join('\n');
}

/** Left to right, as calls are read; top to bottom, and closer together, where the picture is higher than wide. */
function arrange(cy: Core): void {
  const across = isUpright(cy) ? { rankDir: 'TB', nodeSep: isPhone(cy) ? 8 : 22, rankSep: isPhone(cy) ? 64 : 84 } : { rankDir: 'LR', nodeSep: 22, rankSep: 84 };
  const options = { name: 'dagre', ...across, edgeSep: 14, ranker: 'network-simplex', fit: false, animate: false };
  cy.layout(options).run();
  // A finger that means to move the picture begins on a box or a node more often than not.
  if (isPhone(cy)) cy.nodes().panify();
  else cy.nodes().unpanify();
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
