import { isTemplate, normalizePath } from '../../policy/index.ts';
import type { MeshSpec } from '../../resources/index.ts';
import { ANY_SEGMENT, exactly, segmentClasses, type SegmentPattern, SOME_SEGMENT, stringPattern } from './segments.ts';
import { type Classes, type Representative, stringClasses } from './strings.ts';

/** Paths in normal form that the patterns tell apart: a pattern that no normal form matches divides nothing. */
export function pathClasses(all: Iterable<string>, meshes: readonly MeshSpec[]): Classes {
  const patterns = [...new Set(all)].filter((pattern) => pattern !== '*');
  const normal = (path: string) => meshes.every((mesh) => {
    const result = normalizePath(path, mesh);
    return result.ok && result.query === '' && result.path === path;
  });
  const gaps = normal('/a//b');
  const { values, complete } = segmentClasses(patterns.map(pathPattern), {
    allowed: (segment, index) => segment === '' || (index > 0 && normal(`/${segment}`)),
    last: (segment, index) => index > 0 && segment === '' && !gaps,
    valid: normal,
  });
  // RFC 9112: besides paths there is only `*`, the server as a whole.
  const special = meshes.some((mesh) => mesh.compatibility === 'istio') ? untemplated(patterns, normal) : [];
  return { complete, values: [...values, { value: '*', label: '*', secondary: true }, ...special] };
}

/** Envoy's templates do not match these characters, wherever they stand; the other patterns do. */
function untemplated(patterns: readonly string[], normal: (path: string) => boolean): Representative[] {
  if (!patterns.some(isTemplate)) return [];
  const plain = patterns.filter((pattern) => !isTemplate(pattern));
  return stringClasses(plain, { valid: (text) => /[*|^[\]]/.test(text) && normal(text), middles: ['|', 'x|x', '/x|x', '|/|', '/|/|'] })
    .values.map(({ value, label }) => ({ value, label: `${label} with one of | ^ [ ] *`, secondary: true }));
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
