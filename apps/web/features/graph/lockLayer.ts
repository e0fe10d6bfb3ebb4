import type { Core, EdgeSingular } from 'cytoscape';
import type { Colours } from './colours.ts';
import { lockSize, placeLocks, type Box, type Course } from './locks.ts';

const NAME_ALONE = { includeNodes: false, includeEdges: false, includeOverlays: false, includeUnderlays: false };
const BODY_ALONE = { includeLabels: false, includeOverlays: false, includeUnderlays: false };

/** Draws the locks of all edges that have one. They are drawn and not written: not every machine has a font with the sign. */
export function drawLocks(cy: Core, layer: HTMLCanvasElement, colours: Colours): void {
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
  const size = lockSize(cy.zoom());
  const courses: Course[] = [];
  cy.edges('[?locked]').forEach((edge) => {
    if (!edge.hasClass('hidden')) courses.push(courseOf(edge));
  });
  for (const { x, y } of placeLocks(courses, takenBy(cy), size)) drawLock(context, x, y, size, colours);
}

/** What a lock must leave free: the nodes, which hold their names, the names of namespaces and the words on edges. */
function takenBy(cy: Core): Box[] {
  return [
    ...cy.nodes().not(':parent').map((node) => node.renderedBoundingBox(BODY_ALONE)),
    ...cy.nodes(':parent').map((box) => box.renderedBoundingBox(NAME_ALONE)),
    ...cy.edges('[label != ""]').not('.hidden').map((edge) => edge.renderedBoundingBox(NAME_ALONE)),
  ];
}

function courseOf(edge: EdgeSingular): Course {
  const middle = edge.renderedMidpoint();
  // A loop is no such curve: only its middle is known to lie on it.
  return edge.isLoop() ? { from: middle, middle, to: middle } : { from: edge.renderedSourceEndpoint(), middle, to: edge.renderedTargetEndpoint() };
}

function drawLock(context: CanvasRenderingContext2D, x: number, y: number, size: number, colours: Colours): void {
  context.save();
  context.translate(x, y);
  context.scale(size, size);
  context.fillStyle = colours.surface;
  context.fillRect(-6.5, -7.5, 13, 15);
  context.strokeStyle = colours.ok;
  context.fillStyle = colours.ok;
  context.lineWidth = 1.6;
  context.fillRect(-4.5, -0.8, 9, 6.5);
  context.beginPath();
  context.arc(0, -1.3, 2.9, Math.PI, 0);
  context.stroke();
  context.restore();
}
