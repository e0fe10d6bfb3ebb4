import { KeySetError, keySourceOf, type PublicJwk, readKeySet } from '@sallyport/shared/push';
import type { JwtRule } from '@sallyport/shared/resources';
import { KeyRing } from './key-ring.ts';

/**
 * The keys of each rule: its own, or what the operator fetched from its source. Null when there are none, and then no
 * token of its issuer is taken.
 */
export function keyRings(sets: readonly { readonly source: string; readonly keys: readonly PublicJwk[] }[]): (rule: JwtRule) => KeyRing | null {
  const fetched = new Map(sets.map(({ source, keys }) => [source, new KeyRing(keys)]));
  const inline = new Map<string, KeyRing | null>();
  return (rule) => {
    if (rule.jwks === undefined) return fetched.get(keySourceOf(rule) ?? '') ?? null;
    const known = inline.get(rule.jwks);
    if (known !== undefined) return known;
    const ring = readInline(rule.jwks);
    inline.set(rule.jwks, ring);
    return ring;
  };
}

function readInline(jwks: string): KeyRing | null {
  try {
    return new KeyRing(readKeySet(jwks));
  } catch (error) {
    // The operator says so in the object's conditions.
    if (error instanceof KeySetError) return null;
    throw error;
  }
}
