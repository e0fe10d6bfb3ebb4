import type { Random } from './balancer.ts';

/** HTTPRoute `backendRefs`: "Weight specifies the proportion of requests forwarded to the referenced backend", weight by the sum of all. */
export function pickByWeight<T extends { readonly weight: number }>(shares: readonly T[], random: Random): T | null {
  const sum = shares.reduce((total, { weight }) => total + weight, 0);
  let rest = random() * sum;
  for (const share of shares) {
    if (rest < share.weight) return share;
    rest -= share.weight;
  }
  // Only the arithmetic of fractions leads here, or weights that are all 0.
  return shares.findLast(({ weight }) => weight > 0) ?? null;
}
