/**
 * When to renew an SVID: half of its lifetime, spread by 10 % of that half so that a fleet does not renew at once
 * (identity-pki.md §5; SPIRE's rotator does the same).
 *
 * @param notBefore start of validity, ms since the epoch
 * @param notAfter end of validity, ms since the epoch
 * @param spread a number in [0, 1) from the caller's source of randomness
 * @returns ms since the epoch
 */
export function renewalTime(notBefore: number, notAfter: number, spread: number): number {
  const half = (notAfter - notBefore) / 2;
  return Math.round(notBefore + half + half * 0.2 * (spread - 0.5));
}

/** The latest moment at which a healthy proxy renews: half-life plus the whole spread. Later than that is overdue. */
export function renewalDeadline(notBefore: number, notAfter: number): number {
  return renewalTime(notBefore, notAfter, 1);
}
