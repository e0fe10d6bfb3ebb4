import { isTemplate, normalizePath } from '../../policy/index.ts';
import type { MeshSpec } from '../../resources/index.ts';
import { ANY_SEGMENT, exactly, segmentClasses, type SegmentPattern, SOME_SEGMENT, stringPattern } from './segments.ts';
import type { Classes } from './strings.ts';

/** Paths in normal form that the patterns tell apart: a pattern that no normal form matches divides nothing. */
export function pathClasses(patterns: Iterable<string>, meshes: readonly MeshSpec[]): Classes {
  const normal = (path: string) => meshes.every((mesh) => {
    const result = normalizePath(path, mesh);
    return result.ok && result.query === '' && result.path === path;
  });
  const gaps = normal('/a//b');
  const { values, complete } = segmentClasses([...new Set(patterns)].filter((pattern) => pattern !== '*').map(pathPattern), {
    allowed: (segment, index) => segment === '' || (index > 0 && normal(`/${segment}`)),
    last: (segment, index) => index > 0 && segment === '' && !gaps,
    valid: normal,
  });
  // RFC 9112: besides paths there is only `*`, the server as a whole.
  return { complete, values: [...values, { value: '*', label: '*', secondary: true }] };
}

function pathPattern(label: string): SegmentPattern {
  if (!isTemplate(label)) return stringPattern(label);
  const segments = label.split('/');
  const rest = segments.indexOf('{**}');
  const one = (segment: string) => (segment === '{*}' ? SOME_SEGMENT : exactly(segment));
  if (rest < 0) return { label, elements: segments.map(one) };
  // The text of {**} has at least one segment, which may be empty: `/x/{**}` matches `/x/` and not `/x`.
  const head = rest === 0 ? [exactly('')] : segments.slice(0, rest).map(one);
  return { label, elements: [...head, ANY_SEGMENT, 'rest', ...segments.slice(rest + 1).map(exactly)] };
}
