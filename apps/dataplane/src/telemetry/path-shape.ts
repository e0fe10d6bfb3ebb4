/** The path under which calls are counted when there are too many different ones. */
export const OTHER_PATH = '{other}';

/** Longest path that a report may carry, in characters (push protocol). */
const MAX_PATH = 1024;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * A normalised path with its volatile segments as `{id}`, so that `/orders/17` and `/orders/18` are counted together.
 * Volatile: numbers, UUIDs, hexadecimal of 8 and more, codes of capitals and digits, long mixed tokens.
 */
export function pathShape(path: string): string {
  if (path.length > MAX_PATH * 4) return OTHER_PATH;
  const shape = path
    .split('/')
    .map((segment) => (isVolatile(segment) ? '{id}' : segment))
    .join('/');
  return shape.length > MAX_PATH ? OTHER_PATH : shape;
}

/** The path itself when a report can carry it, otherwise null: a shortened one would be another path. */
export function samplePath(path: string): string | null {
  return path.length > MAX_PATH ? null : path;
}

/** A text of its own: what was cut from a request's head would keep the whole head in memory. */
export function ownText<T extends string | null>(text: T): T {
  return text === null ? text : (Buffer.from(text).toString() as T);
}

function isVolatile(segment: string): boolean {
  if (!/\d/.test(segment)) return false;
  if (/^\d+$/.test(segment) || UUID.test(segment)) return true;
  if (/^[0-9a-f]{8,}$/i.test(segment)) return true;
  // Product codes and ULIDs: capitals and digits.
  if (/^[0-9A-Z]{8,}$/.test(segment)) return true;
  // base64url and the like: long, and of both cases as words hardly are.
  return segment.length >= 16 && /^[\w=+~.-]+$/.test(segment) && /[a-z]/.test(segment) && /[A-Z]/.test(segment);
}

const MAX_SHAPES = 4_096;
const MAX_KEPT = 256;

/** Keeps the shapes of short paths: most calls repeat one. Of those that come once each, thousands are kept at a time. */
export class PathShapes {
  readonly #known = new Map<string, string>();

  /** As {@link pathShape}. */
  of(path: string): string {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const shape = pathShape(path);
    if (path.length > MAX_KEPT) return shape;
    if (this.#known.size >= MAX_SHAPES) this.#known.clear();
    this.#known.set(ownText(path), ownText(shape));
    return shape;
  }
}
