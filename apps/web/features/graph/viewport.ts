import type { Core, EdgeSingular, NodeSingular } from 'cytoscape';
import { NAME_SIZE } from './stylesheet.ts';

/** Names that are lower than 11 px on the screen cannot be read at arm's length. */
const READABLE = 11 / NAME_SIZE;
/** Frames below this width are those of phones. */
const PHONE = 560;
/** What the buttons at the bottom cover of a phone's frame; elsewhere they stand beside the picture. */
const BUTTONS = 44;

function margin(cy: Core): number {
  return isPhone(cy) ? 12 : 30;
}

/** True where the frame is too narrow to hold more than a part of a readable picture. */
export function isPhone(cy: Core): boolean {
  return cy.width() < PHONE;
}

/** True where the frame is higher than wide. */
export function isUpright(cy: Core): boolean {
  return cy.width() < cy.height();
}

/** Shows the whole picture, however small. */
function showWhole(cy: Core): void {
  cy.fit(undefined, margin(cy));
}

/** Where a picture begins: whole, or, where that could not be read on a phone, around the busiest node and readable. */
function begin(cy: Core): void {
  showWhole(cy);
  const busiest = busiestOf(cy);
  if (!isPhone(cy) || cy.zoom() >= READABLE || !busiest) return;
  const box = cy.elements().boundingBox();
  const at = busiest.position();
  cy.viewport({
    zoom: READABLE,
    pan: {
      x: panFor({ length: cy.width(), margin: margin(cy) }, { from: box.x1 * READABLE, to: box.x2 * READABLE }, at.x * READABLE),
      y: panFor({ length: cy.height() - BUTTONS, margin: margin(cy) }, { from: box.y1 * READABLE, to: box.y2 * READABLE }, at.y * READABLE),
    },
  });
}

/**
 * How far to move a drawing along one axis: into the middle when it fits, else so that `at` is in the middle, but never
 * so far that there is nothing beyond its end to see.
 */
export function panFor(frame: { readonly length: number; readonly margin: number }, drawn: { readonly from: number; readonly to: number }, at: number): number {
  const [least, most] = [frame.length - frame.margin - drawn.to, frame.margin - drawn.from];
  if (least >= most) return (least + most) / 2;
  return Math.min(most, Math.max(least, frame.length / 2 - at));
}

function busiestOf(cy: Core): NodeSingular | null {
  let best: NodeSingular | null = null;
  let most = -1;
  cy.nodes().not(':parent').forEach((node) => {
    const edges = node.connectedEdges().not('.hidden').length;
    if (edges > most) [best, most] = [node, edges];
  });
  return best;
}

/**
 * What of the picture its frame shows. Until somebody chose what to see it begins anew whenever the frame changes size;
 * after that its middle stays where it is: the bars of a phone's browser come and go, and must not take it away.
 */
export class Following {
  #shows: 'beginning' | 'whole' | 'chosen' = 'beginning';
  #upright: boolean;
  readonly #cy: Core;
  readonly #arrange: () => void;

  constructor(cy: Core, arrange: () => void) {
    this.#cy = cy;
    this.#arrange = arrange;
    this.#upright = isUpright(cy);
    cy.on('dragpan pinchzoom scrollzoom', () => {
      this.#shows = 'chosen';
    });
  }

  /** Gives all nodes new places and begins anew. */
  arrange(): void {
    this.#arrange();
    this.#shows = 'beginning';
    begin(this.#cy);
  }

  resized(): void {
    const before = { x: this.#cy.width(), y: this.#cy.height() };
    this.#cy.resize();
    const turned = this.#upright !== isUpright(this.#cy);
    this.#upright = isUpright(this.#cy);
    if (turned) this.arrange();
    else if (this.#shows === 'beginning') begin(this.#cy);
    else if (this.#shows === 'whole') showWhole(this.#cy);
    else this.#cy.panBy({ x: (this.#cy.width() - before.x) / 2, y: (this.#cy.height() - before.y) / 2 });
  }

  showWhole(): void {
    this.#shows = 'whole';
    showWhole(this.#cy);
  }

  zoom(factor: number): void {
    this.#shows = 'chosen';
    this.#cy.zoom({ level: this.#cy.zoom() * factor, renderedPosition: { x: this.#cy.width() / 2, y: this.#cy.height() / 2 } });
  }

  /** Brings a node, or the middle of an edge, into the frame when it is outside. */
  reveal(element: NodeSingular | EdgeSingular): void {
    const middle = element.isEdge() ? element.renderedMidpoint() : null;
    const box = middle ? { x1: middle.x, y1: middle.y, x2: middle.x, y2: middle.y } : element.renderedBoundingBox({ includeLabels: false });
    if (box.x1 >= 0 && box.y1 >= 0 && box.x2 <= this.#cy.width() && box.y2 <= this.#cy.height()) return;
    this.#shows = 'chosen';
    this.#cy.center(element);
  }
}
