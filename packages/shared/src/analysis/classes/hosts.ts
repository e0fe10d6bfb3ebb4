import { type Classes, type Representative, stringClasses } from './strings.ts';

/** Beyond this many ports nothing is claimed to be complete. */
const MOST_PORTS = 400;

/**
 * Hosts with and without a port: policies may look at either form.
 *
 * @param authority patterns of Istio's `:authority`, which are compared with regard to case
 */
export function hostClasses(patterns: Iterable<string>, authority: readonly string[] = []): Classes {
  const texts = [...new Set(patterns)];
  if (authority.length > 0) {
    const exact = stringClasses(authority);
    const folded = texts.length === 0 ? [] : hostClasses([...texts, ...authority]).values;
    const upper = folded.map((each): Representative => ({ ...each, value: each.value.toUpperCase(), secondary: true }));
    return { values: [...exact.values, ...folded, ...upper], complete: exact.complete && texts.length === 0 };
  }
  const ports = portsOf(texts);
  const bare = texts.map((text) => text.replace(/:\d*\*?$/, ''));
  const whole = stringClasses([...texts, ...bare], { fold: true, valid: (text) => /^[a-z0-9._~[\]-][a-z0-9._~:[\]-]*$/.test(text) });
  const withPort = whole.values.filter(({ value }) => !/:\d*$/.test(value)).flatMap(({ value, label }): Representative[] =>
    ports.slice(0, MOST_PORTS).map((port) => ({ value: `${value}:${port}`, label: `${label}:${port}`, secondary: true })));
  return { values: [...whole.values, ...withPort], complete: whole.complete && ports.length <= MOST_PORTS };
}

/** Ports that patterns can tell apart: their digits whole, as a beginning, as an end, and the two together. */
function portsOf(texts: readonly string[]): string[] {
  const digits = (pattern: RegExp) => texts.flatMap((text) => pattern.exec(text)?.[1] ?? []);
  const whole = digits(/:(\d+)$/);
  const heads = ['', ...digits(/:(\d+)\*$/)];
  const tails = ['', ...digits(/^\*.*?(\d+)$/), ...whole];
  const joined = heads.flatMap((head) => tails.flatMap((tail) => [`${head}${tail}`, `${head}0${tail}`, `${head}1${tail}`, `${head}7${tail}`, `${head}96${tail}`]));
  return [...new Set(['1', ...whole, ...joined])].filter((port) => port !== '');
}
