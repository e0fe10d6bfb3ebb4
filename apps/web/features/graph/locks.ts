/** A rectangle of the screen. */
export interface Box {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The course of an edge: a quadratic curve through its middle, which for most is a straight line. */
export interface Course {
  readonly from: Point;
  readonly middle: Point;
  readonly to: Point;
}

/** Half the size of a lock's own ground, at size 1. */
const HALF = { width: 6.5, height: 7.5 } as const;
/** Where on an edge a lock may be: in the middle if nothing is there, else ever farther from it. */
const PLACES = [0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8] as const;

/** How large locks are: with the picture, but neither so large that they cover it nor too small to be one. */
export function lockSize(zoom: number): number {
  return Math.min(1.6, Math.max(0.4, zoom * 1.1));
}

/**
 * Places one lock on each edge where it covers neither a name nor another lock. Where an edge has no free place the one
 * that covers least is taken: an edge without a lock would say something else.
 */
export function placeLocks(courses: readonly Course[], taken: readonly Box[], size: number): Point[] {
  const occupied = [...taken];
  return courses.map((course) => {
    let best = pointAt(course, 0.5);
    let least = Infinity;
    for (const place of PLACES) {
      const at = pointAt(course, place);
      const covered = coveredBy(ground(at, size), occupied);
      if (covered < least) [best, least] = [at, covered];
      if (covered === 0) break;
    }
    occupied.push(ground(best, size));
    return best;
  });
}

function ground(at: Point, size: number): Box {
  return { x1: at.x - HALF.width * size, y1: at.y - HALF.height * size, x2: at.x + HALF.width * size, y2: at.y + HALF.height * size };
}

function coveredBy(box: Box, others: readonly Box[]): number {
  let sum = 0;
  for (const other of others) {
    const width = Math.min(box.x2, other.x2) - Math.max(box.x1, other.x1);
    const height = Math.min(box.y2, other.y2) - Math.max(box.y1, other.y1);
    if (width > 0 && height > 0) sum += width * height;
  }
  return sum;
}

function pointAt({ from, middle, to }: Course, t: number): Point {
  const along = (a: number, m: number, b: number) => (1 - t) ** 2 * a + t ** 2 * b + (1 - t) * t * (4 * m - a - b);
  return { x: along(from.x, middle.x, to.x), y: along(from.y, middle.y, to.y) };
}
