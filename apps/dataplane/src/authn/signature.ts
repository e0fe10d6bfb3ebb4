import type { PublicJwk } from '@sallyport/shared/push';
import { compactVerify, type CryptoKey, errors, importJWK, type JWK } from 'jose';
import type { DecodedToken } from './token.ts';

/** A key with what was made of it, by algorithm. */
export interface RingKey {
  readonly jwk: PublicJwk;
  readonly algorithms: readonly string[];
  readonly imported: Map<string, Promise<CryptoKey | null>>;
}

/** Whether the key signed the token. Rejects for defects of ours alone. */
export async function signedBy(key: RingKey, { text, algorithm }: DecodedToken): Promise<boolean> {
  const imported = await importKey(key, algorithm);
  if (imported === null) return false;
  try {
    await compactVerify(text, imported, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    // A key that WebCrypto cannot use with the algorithm verifies nothing.
    if (error instanceof TypeError || error instanceof DOMException) return false;
    throw error;
  }
}

function importKey({ jwk, imported }: RingKey, algorithm: string): Promise<CryptoKey | null> {
  const known = imported.get(algorithm);
  if (known) return known;
  // Without its own `alg`: the token's was held against the key's type already.
  const { alg: _alg, ...rest } = jwk;
  const fresh = importJWK(rest as JWK, algorithm).then((key) => (key instanceof Uint8Array ? null : key), () => null);
  imported.set(algorithm, fresh);
  return fresh;
}
