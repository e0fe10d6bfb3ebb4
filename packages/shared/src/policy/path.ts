import type { MeshSpec } from '../resources/index.ts';

/** The result of normalising: the path to match and to forward, or why it is refused. */
export type NormalizedPath = { readonly ok: true; readonly path: string; readonly query: string } | { readonly ok: false; readonly problem: string };

const UNRESERVED = /[A-Za-z0-9\-._~]/;

/**
 * Brings a raw request target to the form that policy matches and the proxy forwards.
 * One decode pass only; case and `;` are kept; the query is kept apart and never matched.
 *
 * @param target origin-form request target, e.g. `/a/../b?x=1`
 * @returns the normal form, or a refusal for targets that have none (fragment, NUL, broken escapes, no leading slash)
 */
export function normalizePath(target: string, mode: MeshSpec['pathNormalization']): NormalizedPath {
  // CVE-2021-32779, CVE-2021-39156: a fragment must not reach the wire, and must not hide a suffix from a matcher.
  if (target.includes('#')) return refuse('the request target has a fragment');
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  // RFC 9112 §3.2.4: OPTIONS may name the server as a whole.
  if (raw === '*') return { ok: true, path: '*', query };
  if (!raw.startsWith('/')) return refuse('the request target does not start with a slash');
  if (mode === 'NONE') return { ok: true, path: raw, query };
  if (/%00/.test(raw) || hasControl(raw)) return refuse('the path has a NUL or control character');
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return refuse('the path has a broken percent escape');
  let path = raw;
  if (mode === 'DECODE_AND_MERGE_SLASHES') path = path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
  path = decodeUnreserved(path).replaceAll('\\', '/');
  if (mode !== 'BASE') path = path.replace(/\/{2,}/g, '/');
  const resolved = removeDotSegments(path);
  if (resolved === null) return refuse('the path climbs above its root');
  return { ok: true, path: resolved, query };
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return true;
  }
  return false;
}

function refuse(problem: string): NormalizedPath {
  return { ok: false, problem };
}

/** RFC 3986 §6.2.2.2: escapes of unreserved characters are equivalent to the character; others gain upper-case hex. */
function decodeUnreserved(path: string): string {
  return path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}

/** RFC 3986 §5.2.4 on a path with a leading slash; null when `..` would climb above the root. */
function removeDotSegments(path: string): string | null {
  const output: string[] = [];
  const segments = path.slice(1).split('/');
  const last = segments.length - 1;
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') {
      if (output.pop() === undefined) return null;
    } else if (segment !== '.') {
      output.push(segment);
    }
    if (index === last && (segment === '.' || segment === '..')) output.push('');
  }
  return `/${output.join('/')}`;
}
