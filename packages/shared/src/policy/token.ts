import { compileStrings, type StringMatch } from './match.ts';
import type { VerifiedToken } from './types.ts';

/** The values of one attribute of a token; none when it is absent or of a shape that no string can equal. */
export type TokenReader = (token: VerifiedToken) => readonly string[];

const NONE: readonly string[] = [];

/** Strings of a claim: itself, or the strings of a list. Numbers and booleans are not compared with text (Istio). */
function strings(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : NONE;
}

function own(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** Istio's names for what a token says. */
export const readToken = {
  audiences: ({ claims }: VerifiedToken): readonly string[] => strings(own(claims, 'aud')),
  presenter: ({ claims }: VerifiedToken): readonly string[] => strings(own(claims, 'azp')),
} as const;

/**
 * Request principals, `<issuer>/<subject>`. As in Istio the pattern is divided at its last slash, because an issuer may
 * be a URL, and each half is held against its claim: no subject with a slash of its own can pass for an issuer's part.
 */
export function compileRequestPrincipals(patterns: readonly string[]): (token: VerifiedToken) => boolean {
  const tests = patterns.map(halves);
  return ({ claims }) => {
    const [issuer, subject] = [own(claims, 'iss'), own(claims, 'sub')];
    if (typeof issuer !== 'string' || typeof subject !== 'string') return false;
    return tests.some(([first, second]) => first(issuer) && second(subject));
  };
}

const ANY = '*';

function halves(pattern: string): readonly [issuer: StringMatch, subject: StringMatch] {
  const match = (text: string) => compileStrings([text]);
  const exact = (text: string): StringMatch => (value) => value === text;
  const slash = pattern.lastIndexOf('/');
  const [issuer, subject] = slash < 0 ? [pattern, ''] : [pattern.slice(0, slash), pattern.slice(slash + 1)];
  if (pattern === ANY) return [match(ANY), match(ANY)];
  if (pattern.startsWith(ANY)) return slash < 0 ? [match(ANY), match(pattern)] : [match(issuer), exact(subject)];
  if (pattern.endsWith(ANY)) return slash < 0 ? [match(pattern), match(ANY)] : [exact(issuer), match(subject)];
  return [exact(issuer), exact(subject)];
}

/** A claim by its path: any string of a list will do, and a space-delimited claim is such a list. */
export function claimValues(path: readonly string[]): TokenReader {
  return ({ claims, spaceDelimited }) => {
    let value: unknown = claims;
    for (const name of path) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return NONE;
      value = own(value as Record<string, unknown>, name);
    }
    const [first] = path;
    const split = path.length === 1 && typeof value === 'string' && first !== undefined && spaceDelimited.includes(first);
    return split ? (value as string).split(' ').filter((part) => part !== '') : strings(value);
  };
}
