import { constants, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { InvalidSpiffeIdError, parseSpiffeId, type SpiffeId } from '../mesh/index.ts';
import type { JwtAuthority } from './spiffe-bundle.ts';

/** A token that is no valid JWT-SVID. The message says why and holds nothing of the token's signature. */
export class JwtSvidError extends Error {
  override readonly name = 'JwtSvidError';
}

interface JwtSvid {
  readonly id: SpiffeId;
  readonly claims: Readonly<Record<string, unknown>>;
}

const MAX_TOKEN_BYTES = 16 * 1024;
/** identity-pki.md §5: clocks may differ by this much. */
const LEEWAY_SECONDS = 30;

interface Algorithm {
  readonly hash: string;
  readonly kty: 'RSA' | 'EC';
  readonly crv?: string;
  readonly pss?: boolean;
}

/** JWT-SVID §2.1: "Validators receiving a token with the `alg` parameter set to a different value MUST reject the token." */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  RS256: { hash: 'sha256', kty: 'RSA' }, RS384: { hash: 'sha384', kty: 'RSA' }, RS512: { hash: 'sha512', kty: 'RSA' },
  PS256: { hash: 'sha256', kty: 'RSA', pss: true }, PS384: { hash: 'sha384', kty: 'RSA', pss: true }, PS512: { hash: 'sha512', kty: 'RSA', pss: true },
  ES256: { hash: 'sha256', kty: 'EC', crv: 'P-256' }, ES384: { hash: 'sha384', kty: 'EC', crv: 'P-384' }, ES512: { hash: 'sha512', kty: 'EC', crv: 'P-521' },
};

/**
 * Signs a JWT-SVID with ES256. Times in seconds since the epoch.
 *
 * @param key an ECDSA P-256 private key
 */
export function signJwtSvid(claims: { readonly sub: string; readonly aud: readonly string[]; readonly iat: number; readonly exp: number }, kid: string, key: KeyObject): string {
  const signed = `${encode({ alg: 'ES256', kid, typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/**
 * Validates a JWT-SVID by the JWT-SVID standard, §4.
 *
 * @param audience what we are called; it must be among the token's audiences
 * @param keysOf the keys of a trust domain's bundle; null when there is no bundle for it
 * @param now ms since the epoch
 * @throws JwtSvidError saying which rule the token breaks
 */
export function validateJwtSvid(token: string, audience: string, keysOf: (trustDomain: string) => readonly JwtAuthority[] | null, now: number): JwtSvid {
  if (token.length > MAX_TOKEN_BYTES) throw new JwtSvidError('token is too long');
  // §5.1: "JWT-SVIDs MUST be serialized using the JWS Compact Serialization".
  const parts = token.split('.');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || !header || !payload || !signature) throw new JwtSvidError('token is not in compact serialization');
  const { algorithm, kid } = readHeader(decode(header, 'header'));
  const claims = decode(payload, 'payload');
  const id = subjectOf(claims);
  checkTimes(claims, now);
  checkAudience(claims, audience);
  const keys = keysOf(id.trustDomain);
  if (keys === null) throw new JwtSvidError(`there is no bundle for trust domain ${id.trustDomain}`);
  const candidates = keys.filter((key) => (kid === null || key.kid === kid) && fits(key, algorithm));
  const signed = Buffer.from(`${header}.${payload}`);
  if (!candidates.some((key) => isSignedBy(key, algorithm, signed, Buffer.from(signature, 'base64url')))) {
    throw new JwtSvidError(`token is not signed by a key of trust domain ${id.trustDomain}`);
  }
  return { id, claims };
}

function readHeader(header: Record<string, unknown>): { algorithm: Algorithm; kid: string | null } {
  // §2: "Any header not described here, registered or private, MUST NOT be included in the JWT-SVID JOSE Header."
  const unknown = Object.keys(header).find((name) => !['alg', 'kid', 'typ'].includes(name));
  if (unknown !== undefined) throw new JwtSvidError(`header ${JSON.stringify(unknown.slice(0, 40))} is not allowed`);
  const { alg, kid, typ } = header;
  const algorithm = typeof alg === 'string' && Object.hasOwn(ALGORITHMS, alg) ? ALGORITHMS[alg] : undefined;
  if (!algorithm) throw new JwtSvidError('alg is not one of RS, ES, PS with 256, 384 or 512');
  // §2.3: "If set, its value MUST be either `JWT` or `JOSE`."
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE') throw new JwtSvidError('typ is neither JWT nor JOSE');
  if (kid !== undefined && typeof kid !== 'string') throw new JwtSvidError('kid is not a string');
  return { algorithm, kid: kid ?? null };
}

/** §3.1: "The `sub` claim MUST be set to the SPIFFE ID of the workload to which it is issued." */
function subjectOf({ sub }: Record<string, unknown>): SpiffeId {
  if (typeof sub !== 'string') throw new JwtSvidError('token has no sub');
  try {
    const id = parseSpiffeId(sub);
    if (id.path !== '') return id;
  } catch (error) {
    if (!(error instanceof InvalidSpiffeIdError)) throw error;
  }
  throw new JwtSvidError('sub is not the SPIFFE ID of a workload');
}

function checkTimes({ exp, nbf }: Record<string, unknown>, now: number): void {
  // §3.3: "validators MUST reject tokens without this claim".
  if (typeof exp !== 'number') throw new JwtSvidError('token has no exp');
  if (exp + LEEWAY_SECONDS <= now / 1000) throw new JwtSvidError('token has expired');
  if (nbf === undefined) return;
  if (typeof nbf !== 'number' || nbf - LEEWAY_SECONDS > now / 1000) throw new JwtSvidError('token is not valid yet');
}

/** §3.2: "Validators MUST reject tokens without an `aud` claim set, or if the value that the validator identifies with is not present". */
function checkAudience({ aud }: Record<string, unknown>, audience: string): void {
  const all: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!all.includes(audience)) throw new JwtSvidError('token is for another audience');
}

function fits({ jwk }: JwtAuthority, { kty, crv }: Algorithm): boolean {
  return jwk['kty'] === kty && (crv === undefined || jwk['crv'] === crv);
}

function isSignedBy({ jwk }: JwtAuthority, { hash, kty, pss }: Algorithm, signed: Buffer, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    if (kty === 'EC') return verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
    // RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output."
    const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
    return verify(hash, signed, { key, ...padding }, signature);
  } catch {
    // A key that cannot be read signs nothing.
    return false;
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decode(part: string, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through to the same refusal.
  }
  throw new JwtSvidError(`token has no readable ${what}`);
}
