import { isDeepStrictEqual } from 'node:util';

/** RFC 6902 §4: the three operations that say any difference. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** What makes `from` into `to`: by members of objects, and by lists as wholes. None when they are the same. */
export function diff(from: unknown, to: unknown, path = ''): PatchOperation[] {
  if (isDeepStrictEqual(from, to)) return [];
  if (!isObject(from) || !isObject(to)) return [{ op: 'replace', path, value: to }];
  const removed = Object.keys(from).filter((key) => to[key] === undefined).map((key) => ({ op: 'remove' as const, path: `${path}/${escaped(key)}` }));
  const others = Object.entries(to).flatMap(([key, value]): PatchOperation[] => {
    if (value === undefined) return [];
    const below = `${path}/${escaped(key)}`;
    return from[key] === undefined ? [{ op: 'add', path: below, value }] : diff(from[key], value, below);
  });
  return [...removed, ...others];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901 §3: "~" needs to be encoded as "~0" and "/" as "~1". */
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
