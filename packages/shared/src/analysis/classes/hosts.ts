import type { Classes, Representative } from './strings.ts';
import { stringClasses } from './strings.ts';

/** Hosts with and without a port: policies may look at either form. */
export function hostClasses(patterns: Iterable<string>): Classes {
  const texts = [...new Set(patterns)];
  const ports = new Set(['1', ...texts.flatMap((text) => /(\d{1,5})\*?$/.exec(text)?.[1] ?? []).flatMap((digits) => [digits, `${digits}1`])]);
  const bare = texts.map((text) => text.replace(/:\d+$/, ''));
  const whole = stringClasses([...texts, ...bare], { fold: true, valid: (text) => /^[a-z0-9._~[\]-][a-z0-9._~:[\]-]*$/.test(text) });
  const withPort = whole.values.filter(({ value }) => !/:\d*$/.test(value)).flatMap(({ value, label }): Representative[] =>
    [...ports].map((port) => ({ value: `${value}:${port}`, label: `${label}:${port === '1' ? '{port}' : port}`, secondary: true })));
  return { values: [...whole.values, ...withPort], complete: whole.complete };
}
