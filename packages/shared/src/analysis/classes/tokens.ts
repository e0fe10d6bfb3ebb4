import type { VerifiedToken } from '../../policy/index.ts';
import { type Classes, NONE, type Representative, stringClasses } from './strings.ts';

/** A list of values about the token, by its key. */
export interface TokenPatterns {
  readonly subject: string;
  readonly values: readonly string[];
}

type Claims = Readonly<Record<string, unknown>>;
type Change = (claims: Claims) => Claims;

const SPLIT = ['scope', 'permission'] as const;
/** Combinations of claims; beyond this nothing is claimed to be complete. */
const MOST_TOKENS = 20_000;
/** With more single values than this, lists of two are left out, and nothing is claimed to be complete. */
const MOST_PAIRED = 24;

/** No token, and every combination of the claims' classes. */
export function tokenClasses(lists: readonly TokenPatterns[]): Classes<VerifiedToken | null> {
  const byAttribute = Map.groupBy(lists, ({ subject }) => attributeOf(subject));
  let complete = ![...byAttribute.keys()].some((key) => key === 'claim iss' || key === 'claim sub') || !byAttribute.has('principal');
  let tokens: Representative<Claims>[] = [{ value: {}, label: '' }];
  for (const [attribute, of] of byAttribute) {
    const choices = attribute === 'principal' ? principalChoices(of) : claimChoices(attribute.split(' ').slice(1), of);
    complete &&= choices.complete && tokens.length * choices.values.length <= MOST_TOKENS;
    tokens = combine(tokens, choices.values).slice(0, MOST_TOKENS);
  }
  const values: Representative<VerifiedToken | null>[] = tokens.map(({ value, label, secondary }) => ({ value: { claims: value, spaceDelimited: SPLIT }, label: label === '' ? 'a token' : `token with ${label}`, ...(secondary ? { secondary } : {}) }));
  return { values: [{ value: null, label: 'no token' }, ...values], complete };
}

/** Audiences and presenter are claims by another name. */
function attributeOf(subject: string): string {
  if (subject === 'requestPrincipals' || subject === 'request.auth.principal') return 'principal';
  if (subject === 'request.auth.audiences') return 'claim aud';
  if (subject === 'request.auth.presenter') return 'claim azp';
  return `claim ${subject.slice('request.auth.claims['.length, -1).split('][').join(' ')}`;
}

function combine(tokens: readonly Representative<Claims>[], choices: readonly Representative<Change>[]): Representative<Claims>[] {
  return tokens.flatMap((token) => choices.map((choice) => ({
    value: choice.value(token.value),
    label: [token.label, choice.label].filter((part) => part !== '').join(', '),
    ...(token.secondary || choice.secondary ? { secondary: true } : {}),
  })));
}

/** `iss/sub`: divided at the last slash, so both parts have text. */
function principalChoices(lists: readonly TokenPatterns[]): Classes<Change> {
  const classes = stringClasses(lists.flatMap(({ values }) => values), { valid: (text) => /^.+\/[^/]+$/s.test(text), extra: ['issuer/subject'] });
  const values = classes.values.map(({ value, label, secondary }): Representative<Change> => {
    const slash = value.lastIndexOf('/');
    const change: Change = (claims) => ({ ...claims, iss: value.slice(0, slash), sub: value.slice(slash + 1) });
    return { value: change, label: `iss/sub ${label}`, ...(secondary ? { secondary } : {}) };
  });
  return { values: [{ value: (claims) => claims, label: '' }, ...values], complete: principalComplete(lists) };
}

/** A suffix without a slash gets one before it by the middle part alone when there is a prefix with one. */
function principalComplete(lists: readonly TokenPatterns[]): boolean {
  return lists.every(({ values }) => values.every((value) => value.includes('/') || value === '*'));
}

function claimChoices(path: readonly string[], lists: readonly TokenPatterns[]): Classes<Change> {
  const { values: single, complete } = stringClasses(lists.flatMap(({ values }) => values));
  const set = (value: unknown): Change => (claims) => setClaim(claims, path, value);
  const name = path.join('.');
  const one = single.map(({ value, label }): Representative<Change> => ({ value: set([value]), label: `${name} ${label}` }));
  const two = pairs(single).map(([a, b]): Representative<Change> => ({ value: set([a.value, b.value]), label: `${name} ${a.label} and ${b.label}`, secondary: true }));
  return { values: [{ value: (claims) => claims, label: `no ${name}` }, ...one, ...two], complete: complete && single.length <= MOST_PAIRED };
}

function setClaim(claims: Claims, [first = '', ...rest]: readonly string[], value: unknown): Claims {
  if (rest.length === 0) return { ...claims, [first]: value };
  const inner = claims[first];
  return { ...claims, [first]: setClaim(typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? (inner as Claims) : {}, rest, value) };
}

/** Absent, each value, and each two values of a header that may be repeated. */
export function repeatedClasses(patterns: Iterable<string>): Classes<readonly string[]> {
  const { values: single, complete } = stringClasses(patterns, { valid: (text) => !/[\p{Cc}]/u.test(text) });
  const one = single.map(({ value, label }): Representative<readonly string[]> => ({ value: [value], label }));
  const two = pairs(single).map(([a, b]): Representative<readonly string[]> => ({ value: [a.value, b.value], label: `${a.label} and ${b.label}`, secondary: true }));
  return { values: [{ value: [], label: NONE }, ...one, ...two], complete: complete && single.length <= MOST_PAIRED };
}

/** Each two items; none when there would be too many. */
function pairs<T>(items: readonly T[]): [T, T][] {
  if (items.length > MOST_PAIRED) return [];
  return items.flatMap((first, index) => items.slice(index + 1).map((second): [T, T] => [first, second]));
}
