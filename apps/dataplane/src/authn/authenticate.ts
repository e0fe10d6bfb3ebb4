import { authenticate, type AuthenticationRule, type Authentication, isPreflight, type PresentedToken, sameLocation, type TokenLocation, type TokenValidity } from '@sallyport/shared/policy';
import type { JwtRule, MeshSpec } from '@sallyport/shared/resources';
import { distinct, type HeaderPair, setHeaders } from '../http/headers.ts';
import type { KeyRing } from './key-ring.ts';
import { findTokens, type FoundToken, stripTokens, type TokenCarrier } from './locations.ts';
import { outputHeaders, outputNames } from './outputs.ts';
import { type DecodedToken, decodeToken } from './token.ts';

/** Envoy's and Istio's clock skew. */
const SKEW_S = 60;
/** No caller has a reason to bring more; each may cost verifications. */
const MAX_TOKENS = 8;

/** Every rule that bears on one workload, ready to be asked. */
export interface WorkloadAuthentication {
  readonly rules: readonly AuthenticationRule[];
  readonly compatibility: MeshSpec['compatibility'];
  /** Where any rule looks, each place once. */
  readonly locations: readonly TokenLocation[];
  /** Lower-case names that only we may set. */
  readonly outputs: ReadonlySet<string>;
  /** Null for a rule whose keys are not known. */
  readonly keys: (rule: JwtRule) => KeyRing | null;
}

/** Prepares the rules of a workload; null when it has none, and requests then cost nothing. */
export function prepareAuthentication(rules: readonly AuthenticationRule[], compatibility: MeshSpec['compatibility'], keys: (rule: JwtRule) => KeyRing | null): WorkloadAuthentication | null {
  if (rules.length === 0) return null;
  const all = rules.flatMap(({ locations }) => locations);
  const locations = all.filter((location, index) => all.findIndex((other) => sameLocation(location, other)) === index);
  return { rules, compatibility, locations, outputs: new Set(rules.flatMap(({ rule }) => outputNames(rule))), keys };
}

/** A request as it goes on: without the tokens that were for us, and with what they say. */
export type AuthenticatedRequest =
  | (Extract<Authentication, { ok: true }> & TokenCarrier)
  | Extract<Authentication, { ok: false }>;

interface Presented extends PresentedToken {
  readonly found: FoundToken;
  readonly decoded: DecodedToken | null;
}

/**
 * Finds, verifies and judges the tokens of a request.
 *
 * @param now seconds since the epoch
 */
export async function authenticateRequest(workload: WorkloadAuthentication, method: string, carrier: TokenCarrier, now: number): Promise<AuthenticatedRequest> {
  const { rules, compatibility, outputs } = workload;
  // Whoever could send these would speak in the name of an issuer, token or not.
  const clean: TokenCarrier = { ...carrier, headers: carrier.headers.filter(([name]) => !outputs.has(name.toLowerCase())) };
  if (method === 'OPTIONS' && isPreflight(method, distinct(clean.headers))) return { ok: true, token: null, rule: null, ...clean };
  // One more than is looked at refuses the request; thousands would refuse it no more.
  const found = findTokens(workload.locations, clean).slice(0, MAX_TOKENS + 1);
  if (found.length === 0) return { ok: true, token: null, rule: null, ...clean };
  const presented = await Promise.all(found.map((token, index) => present(workload, token, index < MAX_TOKENS, now)));
  const result = authenticate(rules, presented, compatibility);
  return result.ok ? { ...result, ...consume(workload, clean, presented) } : result;
}

async function present({ rules, keys }: WorkloadAuthentication, found: FoundToken, looked: boolean, now: number): Promise<Presented> {
  const decoded = looked ? decodeToken(found.text) : null;
  if (decoded === null) return { location: found.location, claims: {}, validity: () => 'malformed', found, decoded };
  const verdicts = new Map<JwtRule, TokenValidity>();
  for (const { rule, locations } of rules) {
    // A signature is only worth the work where its issuer is trusted and the rule looks at this place.
    if (decoded.claims['iss'] !== rule.issuer || !locations.some((location) => sameLocation(location, found.location))) continue;
    verdicts.set(rule, await validityOf(decoded, keys(rule), now));
  }
  return { location: found.location, claims: decoded.claims, validity: (rule) => verdicts.get(rule) ?? 'unknown-issuer', found, decoded };
}

/** RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted", §4.1.5: "before which"; both "some small leeway". */
async function validityOf(token: DecodedToken, ring: KeyRing | null, now: number): Promise<TokenValidity> {
  const { exp, nbf } = token.claims;
  if (!isTime(exp) || !isTime(nbf)) return 'malformed';
  if (exp !== undefined && exp + SKEW_S <= now) return 'expired';
  if (nbf !== undefined && nbf - SKEW_S > now) return 'not-yet-valid';
  if (ring === null) return 'jwks-unavailable';
  return (await ring.verify(token)) ? 'valid' : 'bad-signature';
}

function isTime(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}

/** Takes away what was for us (Istio: unless `forwardOriginalToken`) and adds what the application is to be told. */
function consume({ rules, compatibility }: WorkloadAuthentication, carrier: TokenCarrier, presented: readonly Presented[]): TokenCarrier {
  const used: FoundToken[] = [];
  const added: HeaderPair[] = [];
  for (const token of presented) {
    const accepting = rules.filter((rule) => {
      const alone = authenticate([rule], [token], compatibility);
      return alone.ok && alone.token !== null;
    });
    if (accepting.length > 0 && !accepting.some(({ rule }) => rule.forwardOriginalToken === true)) used.push(token.found);
    if (token.decoded) for (const { rule } of accepting) added.push(...outputHeaders(rule, token.decoded));
  }
  const stripped = stripTokens(carrier, used);
  return { ...stripped, headers: setHeaders(stripped.headers, added) };
}
