import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { isDiscovery, keySourceOf, KeySetError, type PublicJwk, readKeySet } from '@sallyport/shared/push';
import { durationMs, type RequestAuthentication } from '@sallyport/shared/resources';
import { fetchDocument, type FetchOptions, follow } from './fetch.ts';
import { FetchError, shown } from './guard.ts';

/** No rule makes the operator wait longer than this, whatever its timeout says. */
const MAX_TIMEOUT_MS = 30_000;

/** One place that rules want keys from. */
export interface KeySource {
  readonly source: string;
  /** Set when the source is a discovery document: the issuer that it must be about. */
  readonly issuer: string | null;
  /** The longest timeout among the rules that name it. */
  readonly timeoutMs: number;
}

/** Where the keys of all rules come from, each place once. */
export function keySources(policies: readonly RequestAuthentication[]): KeySource[] {
  const found = new Map<string, KeySource>();
  for (const rule of policies.flatMap((policy) => policy.spec.jwtRules)) {
    const source = keySourceOf(rule);
    if (source === null) continue;
    const known = found.get(source);
    const timeoutMs = Math.min(MAX_TIMEOUT_MS, Math.max(durationMs(rule.timeout), known?.timeoutMs ?? 0));
    found.set(source, { source, issuer: known?.issuer ?? (isDiscovery(rule) ? rule.issuer : null), timeoutMs });
  }
  return [...found.values()];
}

/** Fetches the public keys of a source. @throws FetchError naming the place and the remedy */
export async function fetchKeys({ source, issuer }: KeySource, options: FetchOptions): Promise<PublicJwk[]> {
  const first = await fetchDocument(source, options);
  const { text, url } = issuer === null ? first : await fetchDocument(discovered(first.text, first.url, issuer).href, options);
  try {
    const keys = readKeySet(text).filter(isReadable);
    if (keys.length === 0) throw new KeySetError('holds no key that OpenSSL can read');
    return keys;
  } catch (error) {
    if (error instanceof KeySetError) throw new FetchError(`${shown(url)} ${error.message}`);
    throw error;
  }
}

/** A point that is on no curve would fail in every proxy. */
function isReadable(key: PublicJwk): boolean {
  try {
    createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}

/** OpenID Connect Discovery §4.3: "The issuer value returned MUST be identical to the Issuer URL that was used". */
function discovered(text: string, from: URL, issuer: string): URL {
  let document: { issuer?: unknown; jwks_uri?: unknown } | null;
  try {
    document = JSON.parse(text) as typeof document;
  } catch {
    throw new FetchError(`${shown(from)} is not JSON; set jwksUri if the issuer has no discovery document`);
  }
  const bare = (value: unknown) => (typeof value === 'string' ? value.replace(/\/$/, '') : null);
  if (bare(document?.issuer) !== bare(issuer)) throw new FetchError(`${shown(from)} is not about issuer ${issuer}; correct the issuer or set jwksUri`);
  if (typeof document?.jwks_uri !== 'string') throw new FetchError(`${shown(from)} has no jwks_uri; set jwksUri`);
  return follow(from, document.jwks_uri);
}
