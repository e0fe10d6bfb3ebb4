import ipaddr from 'ipaddr.js';

/** A compiled predicate over one string. */
export type StringMatch = (value: string) => boolean;

/**
 * Istio's string match: `*` for any non-empty value, `p*` prefix, `*s` suffix, otherwise exact.
 *
 * @param fold compare without regard to case (hosts)
 */
export function compileStrings(patterns: readonly string[], fold = false): StringMatch {
  const exact = new Set<string>();
  const rest: StringMatch[] = [];
  for (const original of patterns) {
    const pattern = fold ? original.toLowerCase() : original;
    if (pattern === '*') rest.push((value) => value !== '');
    else if (pattern.endsWith('*')) rest.push(((prefix) => (value: string) => value.startsWith(prefix))(pattern.slice(0, -1)));
    else if (pattern.startsWith('*')) rest.push(((suffix) => (value: string) => value.endsWith(suffix))(pattern.slice(1)));
    else exact.add(pattern);
  }
  return (original) => {
    const value = fold ? original.toLowerCase() : original;
    return exact.has(value) || rest.some((test) => test(value));
  };
}

/**
 * Path patterns: those of {@link compileStrings} plus Istio's templates, `{*}` for one non-empty segment and `{**}`
 * for any rest. `/x/{**}` matches `/x/` and not `/x`.
 */
export function compilePaths(patterns: readonly string[]): StringMatch {
  const templates = patterns.filter((pattern) => pattern.includes('{*')).map(compileTemplate);
  const plain = compileStrings(patterns.filter((pattern) => !pattern.includes('{*')));
  return (value) => plain(value) || templates.some((test) => test(value));
}

function compileTemplate(template: string): StringMatch {
  const pattern = template.split('/');
  return (value) => matchSegments(pattern, value.split('/'));
}

/** Segment by segment with one backtracking point, so the cost is bounded by segments of pattern times path. */
function matchSegments(pattern: readonly string[], path: readonly string[]): boolean {
  let p = 0;
  let s = 0;
  let starPattern = -1;
  let starPath = 0;
  while (s < path.length) {
    const part = pattern[p];
    if (part === '{**}') {
      starPattern = p;
      starPath = s;
      p += 1;
    } else if (part !== undefined && (part === path[s] || (part === '{*}' && path[s] !== ''))) {
      p += 1;
      s += 1;
    } else if (starPattern >= 0) {
      starPath += 1;
      s = starPath;
      p = starPattern + 1;
    } else {
      return false;
    }
  }
  // `/x` has run out of segments while `/x/{**}` still wants one: no match, as in Envoy.
  return p === pattern.length;
}

/** Compiled CIDR list. IPv4-mapped IPv6 peers are matched as IPv4. */
export function compileIpBlocks(blocks: readonly string[]): StringMatch {
  const ranges = blocks.map((block) => ipaddr.parseCIDR(block.includes('/') ? block : `${block}/${block.includes(':') ? 128 : 32}`));
  return (value) => {
    if (!ipaddr.isValid(value)) return false;
    const address = ipaddr.process(value);
    return ranges.some((range) => address.kind() === range[0].kind() && address.match(range));
  };
}
