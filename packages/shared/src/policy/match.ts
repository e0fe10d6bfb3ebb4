/** A compiled predicate over one string. */
export type StringMatch = (value: string) => boolean;

/** The same text as V8 keeps once for all: two such texts are compared by where they are. */
export function intern(text: string): string {
  return Object.keys({ [text]: null })[0] ?? text;
}

/**
 * Istio's string match: `*` for any non-empty value, `p*` prefix, `*s` suffix, otherwise exact. A star elsewhere is a
 * character like any other (Istio's reading; our admission refuses it).
 *
 * @param fold compare without regard to case (hosts); the value must then be in lower case
 * @param any what `*` admits; for a header Istio asks only that it is there
 */
export function compileStrings(patterns: readonly string[], fold = false, any: StringMatch = (value) => value !== ''): StringMatch {
  const exact = new Set<string>();
  const rest: StringMatch[] = [];
  for (const original of patterns) {
    const pattern = fold ? original.toLowerCase() : original;
    if (pattern === '*') rest.push(any);
    else if (pattern.startsWith('*')) rest.push(((suffix) => (value: string) => value.endsWith(suffix))(pattern.slice(1)));
    else if (pattern.endsWith('*')) rest.push(((prefix) => (value: string) => value.startsWith(prefix))(pattern.slice(0, -1)));
    else exact.add(pattern);
  }
  return oneOf(exact, rest);
}

/** True when the value is one of `exact` or passes one of `rest`; the usual short lists without a loop. */
export function oneOf(exact: ReadonlySet<string>, rest: readonly StringMatch[]): StringMatch {
  const [first, second] = rest;
  if (first === undefined) {
    const [only] = exact;
    return exact.size === 1 ? (value) => value === only : (value) => exact.has(value);
  }
  if (second === undefined && exact.size === 0) return first;
  return (value) => exact.has(value) || rest.some((test) => test(value));
}

/**
 * Path patterns: those of {@link compileStrings} plus Istio's templates: `{*}` is one non-empty segment, `{**}` is any
 * text with slashes or none, so `/x/{**}` matches `/x/` and not `/x`.
 *
 * @param istio let templates match just the characters that Envoy's URI templates know: no `*`, `|`, `^`, `[` or `]`
 */
export function compilePaths(patterns: readonly string[], istio = false): StringMatch {
  const plain = patterns.filter((pattern) => !isTemplate(pattern));
  const templates = patterns.filter(isTemplate).map(compileTemplate);
  if (templates.length === 0) return compileStrings(plain);
  const strings = compileStrings(plain);
  if (istio) return (value) => strings(value) || (URI_TEMPLATE_TEXT.test(value) && templates.some((test) => test(value)));
  return (value) => strings(value) || templates.some((test) => test(value));
}

/** Envoy's `kLiteral` (uri_template_internal.cc) and the slash. Linear: one class, anchored. */
const URI_TEMPLATE_TEXT = /^[A-Za-z0-9\-._~%!$&'()+,;:@=/]*$/;

/** True for a path pattern with `{*}` or `{**}`. */
export function isTemplate(pattern: string): boolean {
  return pattern.includes('{*}') || pattern.includes('{**}');
}

/**
 * A template is segments, of which at most one is `{**}`. What stands before it is held against the path's first
 * segments and what stands after it against its end, so the cost is linear in the path.
 */
function compileTemplate(template: string): StringMatch {
  const segments = template.split('/');
  const rest = segments.indexOf('{**}');
  // All segments matched and nothing left: the path has as many segments as the template.
  if (rest < 0) return (path) => headEnd(path, segments) === path.length;
  const head = segments.slice(0, rest);
  const tail = segments.slice(rest + 1);
  // After {**} admission lets only literal segments stand.
  const ending = tail.length === 0 ? '' : `/${tail.join('/')}`;
  return (path) => {
    const end = headEnd(path, head);
    // The slash before {**} belongs to the template: `/x` has none after its head.
    return end >= 0 && path.charCodeAt(end) === 0x2f && path.length - ending.length >= end + 1 && path.endsWith(ending);
  };
}

/** Where the path's first segments end if they match, else -1. */
function headEnd(path: string, head: readonly string[]): number {
  let at = 0;
  for (let index = 0; index < head.length; index += 1) {
    const wanted = head[index] ?? '';
    if (index > 0) {
      if (path.charCodeAt(at) !== 0x2f) return -1;
      at += 1;
    }
    const slash = path.indexOf('/', at);
    const end = slash < 0 ? path.length : slash;
    if (wanted === '{*}' ? end === at : end - at !== wanted.length || !path.startsWith(wanted, at)) return -1;
    at = end;
  }
  return at;
}
