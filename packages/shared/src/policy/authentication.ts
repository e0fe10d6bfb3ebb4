import type { FlowReason } from '../mesh/index.ts';
import type { JwtRule, MeshSpec } from '../resources/index.ts';
import { attaches, policyId, type WorkloadPolicyInput } from './compile.ts';
import type { VerifiedToken } from './types.ts';

/** Where a request may carry a token: `name` is in lower case for headers. */
export interface TokenLocation {
  readonly kind: 'header' | 'param' | 'cookie';
  readonly name: string;
  /** Text before the token in a header's value, such as `Bearer `; '' for none. */
  readonly prefix: string;
}

/** One rule that bears on the workload, with where it looks. */
export interface AuthenticationRule {
  readonly policy: string;
  readonly rule: JwtRule;
  readonly locations: readonly TokenLocation[];
  /** `scope` and `permission` always (Istio), and those that the rule names. */
  readonly spaceDelimited: readonly string[];
}

/** What is known of a token's own worth, apart from whom it is for. */
export type TokenValidity = 'valid' | 'expired' | 'not-yet-valid' | 'bad-signature' | 'unknown-issuer' | 'malformed' | 'jwks-unavailable';

/** A token as it was found. */
export interface PresentedToken {
  readonly location: TokenLocation;
  /** Empty when the token is malformed. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The token held against the keys of one rule. Its issuer and audience are judged here. */
  readonly validity: (rule: JwtRule) => TokenValidity;
}

/** The verdict on a request's tokens. `token` is null when none was presented, or none counts. */
export type Authentication =
  | { readonly ok: true; readonly token: VerifiedToken | null; /** The rule that accepted it. */ readonly rule: AuthenticationRule | null }
  | { readonly ok: false; readonly status: 401 | 403; readonly reason: FlowReason; readonly policy: string; readonly explanation: string };

const ALWAYS_SPLIT = ['scope', 'permission'] as const;

/**
 * Rules of all RequestAuthentications that bear on a workload; they combine, in order of policies. Istio sorts them by
 * issuer: of several accepted tokens the one of the first rule is what policies see.
 */
export function compileAuthentication(input: WorkloadPolicyInput): AuthenticationRule[] {
  const rules = (input.requestAuthentications ?? [])
    .filter((policy) => attaches(policy, input))
    .flatMap((policy) => policy.spec.jwtRules.map((rule) => ({
      policy: policyId(policy),
      rule,
      locations: locationsOf(rule),
      spaceDelimited: [...ALWAYS_SPLIT, ...(rule.spaceDelimitedClaims ?? [])],
    })));
  return input.mesh.compatibility === 'istio' ? rules.sort((a, b) => (a.rule.issuer < b.rule.issuer ? -1 : a.rule.issuer > b.rule.issuer ? 1 : 0)) : rules;
}

/** Istio: "If no location is specified, the default is the Authorization header with Bearer, then the query parameter access_token". */
function locationsOf({ fromHeaders, fromParams, fromCookies }: JwtRule): TokenLocation[] {
  const named: TokenLocation[] = [
    ...(fromHeaders ?? []).map(({ name, prefix }): TokenLocation => ({ kind: 'header', name: name.toLowerCase(), prefix: prefix ?? '' })),
    ...(fromParams ?? []).map((name): TokenLocation => ({ kind: 'param', name, prefix: '' })),
    ...(fromCookies ?? []).map((name): TokenLocation => ({ kind: 'cookie', name, prefix: '' })),
  ];
  if (named.length > 0) return named;
  return [{ kind: 'header', name: 'authorization', prefix: 'Bearer ' }, { kind: 'param', name: 'access_token', prefix: '' }];
}

/** True when a token found at `found` is one that a rule with location `wanted` reads. */
export function sameLocation(wanted: TokenLocation, found: TokenLocation): boolean {
  return wanted.kind === found.kind && wanted.name === found.name && wanted.prefix === found.prefix;
}

/** Istio bypasses CORS preflights: browsers send them without credentials. */
export function isPreflight(method: string, headers: Readonly<Record<string, readonly string[]>>): boolean {
  return method === 'OPTIONS' && (headers['origin']?.length ?? 0) > 0 && (headers['access-control-request-method']?.length ?? 0) > 0;
}

type Compatibility = MeshSpec['compatibility'];
type RuleVerdict = { readonly state: 'missing' } | { readonly state: 'accepted'; readonly token: VerifiedToken } | { readonly state: 'refused'; readonly why: Refusal };
type Refusal = 'audience' | Exclude<TokenValidity, 'valid'>;

/**
 * Judges the tokens of a request, as Istio configures Envoy's `jwt_authn`: no token passes (authorization may then
 * refuse), a token that no rule accepts is 401, one for another audience 403. A token counts only where a rule looks.
 *
 * Istio asks `any(rule 1, rule 2, …, all(valid or missing))`: one accepted token passes whatever else is presented. With
 * `compatibility: sallyport` every token that is presented must be accepted by a rule that looks there.
 */
export function authenticate(rules: readonly AuthenticationRule[], tokens: readonly PresentedToken[], compatibility: Compatibility): Authentication {
  const verdicts = rules.map((rule) => ({ rule, verdict: judge(rule, tokens, compatibility) }));
  const accepted = verdicts.find(({ verdict }) => verdict.state === 'accepted');
  const stray = compatibility === 'istio' ? undefined : tokens.find((token) => looked(rules, token).length > 0 && !looked(rules, token).some((rule) => judgeToken(rule, token, compatibility) === null));
  if (accepted?.verdict.state === 'accepted' && stray === undefined) return { ok: true, token: accepted.verdict.token, rule: accepted.rule };
  const refused = refusalOf(verdicts);
  return refused ?? { ok: true, token: null, rule: null };
}

function looked(rules: readonly AuthenticationRule[], token: PresentedToken): AuthenticationRule[] {
  return rules.filter(({ locations }) => locations.some((location) => sameLocation(location, token.location)));
}

/** Envoy: "if a request has multiple tokens, all of them must be valid" for the rule that finds them. */
function judge(rule: AuthenticationRule, tokens: readonly PresentedToken[], compatibility: Compatibility): RuleVerdict {
  const found = tokens.filter((token) => looked([rule], token).length > 0);
  const [first] = found;
  if (first === undefined) return { state: 'missing' };
  for (const token of found) {
    const why = judgeToken(rule, token, compatibility);
    if (why !== null) return { state: 'refused', why };
  }
  return { state: 'accepted', token: { claims: first.claims, spaceDelimited: rule.spaceDelimited } };
}

/** Envoy's order: form, issuer, times, audience, keys, signature. Null when the rule accepts the token. */
function judgeToken({ rule }: AuthenticationRule, { claims, validity }: PresentedToken, compatibility: Compatibility): Refusal | null {
  const found = validity(rule);
  if (found === 'malformed' || found === 'unknown-issuer') return found;
  if (claims['iss'] !== rule.issuer) return 'unknown-issuer';
  if (found === 'expired' || found === 'not-yet-valid') return found;
  if (!isAudience(claims['aud'], rule.audiences ?? [], compatibility)) return 'audience';
  return found === 'valid' ? null : found;
}

/** No audiences in the rule: any. Envoy compares without scheme and trailing slash; ours is the exact text (D9). */
function isAudience(claim: unknown, audiences: readonly string[], compatibility: Compatibility): boolean {
  if (audiences.length === 0) return true;
  const form = (text: string) => (compatibility === 'istio' ? text.replace(/^https?:\/\//, '').replace(/\/$/, '') : text);
  const wanted = audiences.map(form);
  const presented: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return presented.some((each) => typeof each === 'string' && wanted.includes(form(each)));
}

/** The most telling refusal: an unknown issuer at one rule says less than another rule's own reason. */
function refusalOf(verdicts: readonly { readonly rule: AuthenticationRule; readonly verdict: RuleVerdict }[]): Authentication | null {
  let best: { rule: AuthenticationRule; why: Refusal } | null = null;
  for (const { rule, verdict } of verdicts) {
    if (verdict.state === 'refused' && (best === null || best.why === 'unknown-issuer')) best = { rule, why: verdict.why };
  }
  if (best === null) return null;
  const { rule, why } = best;
  const audience = why === 'audience';
  return {
    ok: false,
    status: audience ? 403 : 401,
    reason: audience ? 'token-audience' : 'token-rejected',
    policy: rule.policy,
    explanation: audience ? `the token is for none of the audiences of ${rule.rule.issuer}` : `${EXPLAINED[why]} (RequestAuthentication ${rule.policy})`,
  };
}

const EXPLAINED: Readonly<Record<Exclude<Refusal, 'audience'>, string>> = {
  expired: 'the token has expired',
  'not-yet-valid': 'the token is not valid yet',
  'bad-signature': 'the token’s signature does not verify',
  'unknown-issuer': 'the token is of an issuer that no rule trusts',
  malformed: 'the token is malformed',
  'jwks-unavailable': 'the issuer’s keys are not available',
};
