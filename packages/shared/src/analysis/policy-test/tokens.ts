import { type AuthenticationRule, type PresentedToken, sameLocation, type TokenLocation, type TokenValidity } from '../../policy/index.ts';
import type { TestRequest } from './schema.ts';

/** Stands for the token's text, of which a test knows only the worth. */
const TEXT = 'token';

/** The tokens that the rules find in a test's request, each at the place where a rule looks. */
export function presentedTokens(rules: readonly AuthenticationRule[], jwts: TestRequest['jwts']): PresentedToken[] {
  return distinct(rules.flatMap(({ locations }) => locations)).flatMap((location) => jwts.flatMap((jwt) => found(location, jwt)));
}

function distinct(locations: readonly TokenLocation[]): TokenLocation[] {
  return locations.filter((location, index) => locations.findIndex((other) => sameLocation(location, other)) === index);
}

function found(location: TokenLocation, jwt: TestRequest['jwts'][number]): PresentedToken[] {
  const colon = jwt.location.indexOf(':');
  const kind = jwt.location.slice(0, colon);
  const name = kind === 'header' ? jwt.location.slice(colon + 1).toLowerCase() : jwt.location.slice(colon + 1);
  if (kind !== location.kind || name !== location.name) return [];
  const value = `${jwt.prefix ?? (kind === 'header' && name === 'authorization' ? 'Bearer ' : '')}${TEXT}`;
  if (!value.startsWith(location.prefix)) return [];
  // What is left of the value after the rule's own prefix is what it takes for the token.
  const whole = value.slice(location.prefix.length) === TEXT;
  const validity: TokenValidity = whole ? jwt.validity : 'malformed';
  return [{ location, claims: whole ? jwt.claims : {}, validity: () => validity }];
}
