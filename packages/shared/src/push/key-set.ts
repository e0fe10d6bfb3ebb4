import { z } from 'zod';
import type { JwtRule } from '../resources/index.ts';

const base64url = (max: number) => z.string().min(1).max(max).regex(/^[A-Za-z0-9_-]+$/, 'must be base64url');
/** `n` of 2048 bits is 342 characters (RFC 7518 §3.3 asks for no less); 8192 bits are 1366. */
const modulus = base64url(1366).min(342, 'is an RSA modulus of less than 2048 bits');
const common = { kid: z.string().max(512).optional(), alg: z.string().max(32).optional() };

/** A public key as proxies get it: only what verifies signatures. Shared secrets have no form here. */
export const publicJwk = z.discriminatedUnion('kty', [
  z.strictObject({ kty: z.literal('RSA'), n: modulus, e: base64url(16), ...common }),
  z.strictObject({ kty: z.literal('EC'), crv: z.enum(['P-256', 'P-384', 'P-521']), x: base64url(90), y: base64url(90), ...common }),
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: base64url(64), ...common }),
]);
export type PublicJwk = z.infer<typeof publicJwk>;

/** More keys than any issuer rotates through; each may cost a verification for a token that names none. */
export const MAX_KEYS = 32;

/** A key set that is not taken. The message says what is wrong and never what the keys are. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError';
}

const MEMBERS = ['kty', 'n', 'e', 'crv', 'x', 'y', 'kid', 'alg'] as const;

/**
 * Reads a JSON Web Key Set (RFC 7517) down to the public keys that can verify a token.
 *
 * §5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" values that are not understood by them, that
 * are missing required members, or for which values are out of the supported ranges." A set with a shared secret or a
 * private key is refused as a whole (CVE-2026-31837): whoever can read it can sign.
 *
 * @throws KeySetError when it is no key set, holds a secret, is too large or has no usable key
 */
export function readKeySet(text: string): PublicJwk[] {
  const keys = keysOf(text);
  if (keys.length > MAX_KEYS) throw new KeySetError(`holds ${keys.length} keys; at most ${MAX_KEYS} are taken`);
  const secret = keys.findIndex(isSecret);
  if (secret >= 0) throw new KeySetError(`keys[${secret}] is a shared secret or a private key; publish public keys only and replace this one`);
  const usable = keys.flatMap(usableKey);
  if (usable.length === 0) throw new KeySetError('holds no key that can verify a signature (RSA of 2048 bits or more, EC P-256, P-384, P-521, or Ed25519)');
  return usable;
}

function keysOf(text: string): Record<string, unknown>[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeySetError('is not JSON');
  }
  const keys: unknown = typeof value === 'object' && value !== null ? (value as { keys?: unknown }).keys : undefined;
  if (!Array.isArray(keys)) throw new KeySetError('is not a JSON Web Key Set: {"keys": [...]}');
  return keys.filter((key): key is Record<string, unknown> => typeof key === 'object' && key !== null);
}

/** RFC 7518 §6: `d` and `p` are parts of private keys, `k` is a shared one. */
function isSecret(key: Record<string, unknown>): boolean {
  return key['kty'] === 'oct' || ['d', 'p', 'q', 'k', 'oth'].some((member) => Object.hasOwn(key, member));
}

/** RFC 7517 §4.2, §4.3: a key says by `use` and `key_ops` what it is for. */
function usableKey(key: Record<string, unknown>): PublicJwk[] {
  if (key['use'] !== undefined && key['use'] !== 'sig') return [];
  if (Array.isArray(key['key_ops']) && !key['key_ops'].includes('verify')) return [];
  const shape = Object.fromEntries(MEMBERS.filter((name) => Object.hasOwn(key, name)).map((name) => [name, key[name]]));
  const result = publicJwk.safeParse(shape);
  return result.success ? [result.data] : [];
}

/**
 * Where the operator finds a rule's keys: its `jwksUri`, else the issuer's discovery document (OpenID Connect Discovery
 * §4: "concatenating the string /.well-known/openid-configuration to the Issuer"). Null when the rule holds its keys, or
 * when its issuer is no address.
 */
export function keySourceOf(rule: JwtRule): string | null {
  if (rule.jwks !== undefined) return null;
  if (rule.jwksUri !== undefined) return rule.jwksUri;
  return /^https?:\/\//.test(rule.issuer) ? `${rule.issuer.replace(/\/$/, '')}${DISCOVERY_PATH}` : null;
}

const DISCOVERY_PATH = '/.well-known/openid-configuration';

/** True for a source that is a discovery document, which names the key set, rather than the key set itself. */
export function isDiscovery(rule: JwtRule): boolean {
  return rule.jwks === undefined && rule.jwksUri === undefined;
}
