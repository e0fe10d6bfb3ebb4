import { X509Certificate } from 'node:crypto';
import { fromPem, toPem } from './certificate.ts';

/** A key that signs JWT-SVIDs, in the form of a JWK: public, with its `kid`. */
export interface JwtAuthority {
  readonly kid: string;
  readonly jwk: Readonly<Record<string, string>>;
}

/** What vouches for the identities of one trust domain. Of which, the holder keeps beside it: the document does not say. */
export interface SpiffeBundle {
  /** Roots in PEM. */
  readonly roots: readonly string[];
  readonly jwtKeys: readonly JwtAuthority[];
  /** Null when the publisher names none. */
  readonly sequence: number | null;
  /** How often to ask again, in seconds. */
  readonly refreshHint: number | null;
}

/** A document that is no bundle, or one that nobody could be trusted by. The message says what is wrong. */
export class BundleError extends Error {
  override readonly name = 'BundleError';
}

const MAX_KEYS = 64;
const JWK_MEMBERS = ['kty', 'crv', 'x', 'y', 'n', 'e', 'alg'] as const;

/**
 * Reads a SPIFFE bundle document (SPIFFE Trust Domain and Bundle §4, X509-SVID §6.2).
 *
 * @throws BundleError when it is malformed or holds no root
 */
export function readSpiffeBundle(text: string): SpiffeBundle {
  const document = parse(text);
  const keys = document['keys'];
  // Trust Domain and Bundle §4.1.3: "The parameter `keys` MUST be present. Its value is an array of JWKs."
  if (!Array.isArray(keys)) throw new BundleError('has no array "keys"; is it a SPIFFE bundle?');
  if (keys.length > MAX_KEYS) throw new BundleError(`holds ${keys.length} keys; at most ${MAX_KEYS} are taken`);
  const entries = keys.filter((key): key is Record<string, unknown> => typeof key === 'object' && key !== null);
  const roots = [...new Set(entries.flatMap(rootOf))];
  if (roots.length === 0) throw new BundleError('holds no root for X.509-SVIDs: nobody of its trust domain could be trusted');
  return {
    roots,
    jwtKeys: entries.flatMap(jwtKeyOf),
    sequence: integerOf(document, 'spiffe_sequence'),
    refreshHint: integerOf(document, 'spiffe_refresh_hint'),
  };
}

/**
 * Writes a SPIFFE bundle document.
 *
 * @throws Error when a root is no readable certificate
 */
export function writeSpiffeBundle({ roots, jwtKeys, sequence, refreshHint }: SpiffeBundle): string {
  const keys = [...roots.map(rootJwk), ...jwtKeys.map(({ kid, jwk }) => ({ ...jwk, use: 'jwt-svid', kid }))];
  return JSON.stringify({
    keys,
    ...(sequence === null ? {} : { spiffe_sequence: sequence }),
    ...(refreshHint === null ? {} : { spiffe_refresh_hint: refreshHint }),
  });
}

/** The keys of a JWT bundle, as the Workload API gives it: a JWK Set of `jwt-svid` keys alone. */
export function writeJwtBundle(keys: readonly JwtAuthority[]): string {
  return writeSpiffeBundle({ roots: [], jwtKeys: keys, sequence: null, refreshHint: null });
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through to the same refusal.
  }
  throw new BundleError('is not a JSON object');
}

function integerOf(document: Record<string, unknown>, name: string): number | null {
  const value = document[name];
  if (value === undefined) return null;
  // §4.1.1 and §4.1.2: "its value MUST be" an integer.
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new BundleError(`${name} is not an integer`);
  return value;
}

function rootOf(key: Record<string, unknown>): string[] {
  // Trust Domain and Bundle §4.2.2: "Clients encountering unknown `use` values MUST ignore the entire JWK element."
  if (key['use'] !== 'x509-svid') return [];
  const { x5c } = key;
  // X509-SVID §6.2: "If `x5c` is not set, or is empty, then the entry MUST be ignored." and "all but the first MUST be ignored".
  const first: unknown = Array.isArray(x5c) ? x5c[0] : undefined;
  if (typeof first !== 'string') return [];
  const der = Buffer.from(first, 'base64');
  try {
    if (new X509Certificate(der).ca) return [toPem('CERTIFICATE', der)];
  } catch {
    throw new BundleError('holds a root that is not a readable certificate');
  }
  throw new BundleError('holds a root that is not a CA certificate');
}

function jwtKeyOf(key: Record<string, unknown>): JwtAuthority[] {
  const { use, kid, kty } = key;
  if (use !== 'jwt-svid' || (kty !== 'EC' && kty !== 'RSA')) return [];
  // A private key here would let every reader of the bundle sign.
  if (Object.hasOwn(key, 'd')) throw new BundleError('holds a private key; its owner must replace it');
  if (typeof kid !== 'string' || kid === '') return [];
  const members = JWK_MEMBERS.flatMap((name) => (typeof key[name] === 'string' ? [[name, key[name]] as const] : []));
  return [{ kid, jwk: Object.fromEntries(members) }];
}

function rootJwk(pem: string): Record<string, unknown> {
  const certificate = new X509Certificate(pem);
  // X509-SVID §6.1: "the `kid` parameter of each JWK entry MUST NOT be set", and x5c "MUST include exactly one CA certificate".
  const { kty, crv, x, y, n, e } = certificate.publicKey.export({ format: 'jwk' });
  return { use: 'x509-svid', kty, crv, x, y, n, e, x5c: [fromPem('CERTIFICATE', pem).toString('base64')] };
}
