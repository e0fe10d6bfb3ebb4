import type { JwtRule } from '@sallyport/shared/resources';
import { type HeaderPair, isConnectionHeader, isReserved } from '../http/headers.ts';
import type { DecodedToken } from './token.ts';

/** Names of the headers by which a rule tells the application what a token says, in lower case. */
export function outputNames(rule: JwtRule): string[] {
  const named = [rule.outputPayloadToHeader ?? [], ...(rule.outputClaimToHeaders ?? []).map(({ header }) => header)].flat();
  return named.map((name) => name.toLowerCase()).filter((name) => !isReserved(name) && !isConnectionHeader(name));
}

/** Headers that a rule makes of an accepted token. */
export function outputHeaders(rule: JwtRule, { claims, payload }: DecodedToken): HeaderPair[] {
  const allowed = new Set(outputNames(rule));
  const made: HeaderPair[] = rule.outputPayloadToHeader === undefined ? [] : [[rule.outputPayloadToHeader, payload]];
  for (const { header, claim } of rule.outputClaimToHeaders ?? []) {
    const text = claimText(claimAt(claims, claim));
    if (text !== null) made.push([header, text]);
  }
  return made.filter(([name]) => allowed.has(name.toLowerCase()));
}

/** Envoy: "nested claims are supported with separator `.`"; a claim of just that name comes first. */
function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Istio: "only claims of type string/int/bool are supported". Text that is no header value would be another header. */
function claimText(value: unknown): string | null {
  if (typeof value === 'boolean' || Number.isInteger(value)) return String(value);
  return typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) ? value : null;
}
