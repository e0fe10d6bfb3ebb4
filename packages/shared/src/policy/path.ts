import type { MeshSpec } from '../resources/index.ts';

declare const normal: unique symbol;
/** A path in normal form, without its query. Only {@link normalizePath} makes one. */
export type NormalPath = string & { readonly [normal]: true };

export type PathNormalization = NonNullable<MeshSpec['pathNormalization']>;

/** The result of normalising: the path to match and to forward, or why it is refused. */
export type NormalizedPath =
  | { readonly ok: true; readonly path: NormalPath; /** With its question mark, or ''. */ readonly query: string }
  | { readonly ok: false; readonly problem: string };

type Settings = Pick<MeshSpec, 'pathNormalization' | 'compatibility'>;

/** How a mesh normalises paths: as it says, else by the default of its compatibility. */
export function pathNormalizationOf(mesh: Settings): PathNormalization {
  return mesh.pathNormalization ?? (mesh.compatibility === 'istio' ? 'BASE' : 'DECODE_AND_MERGE_SLASHES');
}

/**
 * Brings a raw request target to the form that policy matches and the proxy forwards.
 *
 * Order and steps are Envoy's (`ConnectionManagerUtility::maybeNormalizePath`): decode %2F and %5C, remove dot segments,
 * turn `\` to `/` and decode unreserved characters, then merge slashes. One decode pass only; case and `;` are kept; the
 * query is kept apart and never matched. With `compatibility: sallyport` a path that has no one meaning (a broken escape,
 * a climb above the root, a raw character outside of ASCII) is refused where Envoy guesses.
 *
 * @param sent origin-form request target, e.g. `/a/../b?x=1`
 */
export function normalizePath(sent: string, mesh: Settings): NormalizedPath {
  // CVE-2021-32779, CVE-2021-39156: a fragment must not reach the wire, and must not hide a suffix from a matcher. Istio
  // cuts it off (its bootstrap turns `http_reject_path_with_fragment` off); we refuse it.
  const hash = sent.indexOf('#');
  if (hash >= 0 && mesh.compatibility !== 'istio') return refuse('the request target has a fragment');
  const target = hash < 0 ? sent : sent.slice(0, hash);
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  // RFC 9112 §3.2.4: OPTIONS may name the server as a whole.
  if (raw === '*') return { ok: true, path: raw as NormalPath, query };
  const problem = targetProblem(raw, mesh);
  if (problem !== null) return refuse(problem);
  const mode = pathNormalizationOf(mesh);
  const path = mode === 'NONE' ? raw : mesh.compatibility === 'istio' ? envoyPath(raw, mode) : strictPath(raw, mode);
  return path === null ? refuse('the path climbs above its root') : { ok: true, path: path as NormalPath, query };
}

function refuse(problem: string): NormalizedPath {
  return { ok: false, problem };
}

/** What makes a target one that nobody may guess about. */
function targetProblem(raw: string, mesh: Settings): string | null {
  const istio = mesh.compatibility === 'istio';
  // Envoy fails to canonicalise %00, so it is refused wherever paths are normalised; a control character never parses.
  if (/%00/.test(raw) && !(istio && pathNormalizationOf(mesh) === 'NONE')) return 'the path has an encoded NUL';
  for (let i = 0; i < raw.length; i += 1) {
    const code = raw.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return 'the path has a space or control character';
    if (code > 0x7f && !istio) return 'the path has a raw character outside of ASCII; it must be percent-encoded';
  }
  if (istio) return raw === '' ? 'the request target is empty' : null;
  if (!raw.startsWith('/')) return 'the request target does not start with a slash';
  return /%(?![0-9A-Fa-f]{2})/.test(raw) ? 'the path has a broken percent escape' : null;
}

/** Our normal form, or null for a path that climbs above its root. */
function strictPath(raw: string, mode: PathNormalization): string | null {
  if (isPlain(raw)) return raw;
  const resolved = removeDotSegments(decodeUnreserved(decodeSlashes(raw, mode), true).replaceAll('\\', '/'), false);
  return resolved === null ? null : mergeSlashes(resolved, mode);
}

/** Envoy's normal form: a climb stops at the root, escapes keep their case, and a raw special character is encoded. */
function envoyPath(raw: string, mode: PathNormalization): string {
  const rooted = raw.startsWith('/') || raw.startsWith('\\') ? raw : `/${raw}`;
  if (isPlain(rooted)) return rooted;
  const decoded = decodeUnreserved(decodeSlashes(rooted, mode), false).replaceAll('\\', '/');
  return mergeSlashes(removeDotSegments(encodeSpecial(decoded), true) ?? '/', mode);
}

/** True for a path that every mode leaves as it is: the common case, told without building a string. */
function isPlain(path: string): boolean {
  for (let i = 0; i < path.length; i += 1) {
    const code = path.charCodeAt(i);
    const slash = code === 0x2f;
    // A slash before a slash or a dot, an escape, a backslash, or what Envoy encodes.
    if (slash && (path.charCodeAt(i + 1) === 0x2f || path.charCodeAt(i + 1) === 0x2e)) return false;
    if (!slash && !PLAIN[code]) return false;
  }
  return true;
}

/** Characters of `pchar` (RFC 3986 §3.3) that stand for themselves in every mode. */
const PLAIN: readonly boolean[] = Array.from({ length: 128 }, (_, code) => /[A-Za-z0-9\-._~!$&'()*+,;=:@|^[\]]/.test(String.fromCharCode(code)));

function decodeSlashes(path: string, mode: PathNormalization): string {
  return mode === 'DECODE_AND_MERGE_SLASHES' ? path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\') : path;
}

function mergeSlashes(path: string, mode: PathNormalization): string {
  return mode === 'BASE' ? path : path.replace(/\/{2,}/g, '/');
}

/** RFC 3986 §6.2.2.2: an escape of an unreserved character is equivalent to the character; others may gain upper-case hex. */
function decodeUnreserved(path: string, upper: boolean): string {
  return path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    if (/[A-Za-z0-9\-._~]/.test(character)) return character;
    return upper ? escape.toUpperCase() : escape;
  });
}

const ENCODER = new TextEncoder();
const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`);

/** What the URL canonicaliser that Envoy uses encodes in a path. Whole runs at once: a path may hold little else. */
function encodeSpecial(path: string): string {
  return path.replace(/(?:["<>`{}]|[^\p{ASCII}])+/gu, (text) => {
    let escaped = '';
    for (const byte of ENCODER.encode(text)) escaped += ESCAPES[byte];
    return escaped;
  });
}

/** RFC 3986 §5.2.4 on a path with a leading slash; null when `..` would climb above the root and that is not forgiven. */
function removeDotSegments(path: string, forgive: boolean): string | null {
  const output: string[] = [];
  const segments = path.slice(1).split('/');
  const last = segments.length - 1;
  for (const [index, segment] of segments.entries()) {
    if (segment === '..') {
      if (output.pop() === undefined && !forgive) return null;
    } else if (segment !== '.') {
      output.push(segment);
    }
    if (index === last && (segment === '.' || segment === '..')) output.push('');
  }
  return `/${output.join('/')}`;
}
