import { createHash } from 'node:crypto';
import type { PublicJwk } from '@sallyport/shared/push';
import type { RingKey } from './signature.ts';
import type { DecodedToken } from './token.ts';

/** Tokens whose signature was found good; a new configuration starts anew. */
const MAX_REMEMBERED = 4_096;

const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;
const BY_CURVE = { 'P-256': ['ES256'], 'P-384': ['ES384'], 'P-521': ['ES512'], Ed25519: ['EdDSA', 'Ed25519'] } as const;

/** The algorithms that a key is for, by its own type: what a token's header says never makes a key into a shared secret. */
function algorithmsOf(key: PublicJwk): readonly string[] {
  const all: readonly string[] = key.kty === 'RSA' ? RSA : BY_CURVE[key.crv];
  // RFC 9864 gave EdDSA over Ed25519 a name of its own; a key may say either.
  return key.alg === undefined || key.kty === 'OKP' ? all : all.filter((name) => name === key.alg);
}

/** The public keys of one issuer. */
export class KeyRing {
  readonly #keys: readonly RingKey[];
  readonly #good = new Set<string>();

  constructor(keys: readonly PublicJwk[]) {
    this.#keys = keys.map((jwk) => ({ jwk, algorithms: algorithmsOf(jwk), imported: new Map() }));
  }

  /** Whether one of the keys signed the token. Never rejects. */
  async verify(token: DecodedToken): Promise<boolean> {
    const digest = createHash('sha256').update(token.text).digest('base64');
    if (this.#good.has(digest)) return true;
    const fitting = this.#keys.filter((key) => fits(key, token));
    if (fitting.length === 0) return false;
    // Loaded by the first token: most proxies never see one.
    const { signedBy } = await import('./signature.ts');
    for (const key of fitting) {
      if (await signedBy(key, token)) return this.#remember(digest);
    }
    return false;
  }

  #remember(digest: string): true {
    if (this.#good.size >= MAX_REMEMBERED) this.#good.clear();
    this.#good.add(digest);
    return true;
  }
}

/** RFC 7515 §4.1.4: `kid` is a hint; only where both have one must it agree. */
function fits({ jwk, algorithms }: RingKey, { algorithm, keyId }: DecodedToken): boolean {
  return algorithms.includes(algorithm) && (jwk.kid === undefined || keyId === null || jwk.kid === keyId);
}
