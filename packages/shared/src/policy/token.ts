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
  /** `iss/sub`; a token without both has no principal. */
  principal: ({ claims }: VerifiedToken): readonly string[] => {
    const [issuer, subject] = [own(claims, 'iss'), own(claims, 'sub')];
    return typeof issuer === 'string' && typeof subject === 'string' && issuer !== '' && subject !== '' ? [`${issuer}/${subject}`] : NONE;
  },
  audiences: ({ claims }: VerifiedToken): readonly string[] => strings(own(claims, 'aud')),
  presenter: ({ claims }: VerifiedToken): readonly string[] => strings(own(claims, 'azp')),
} as const;

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
