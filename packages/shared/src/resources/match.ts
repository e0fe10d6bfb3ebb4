import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { isTrustDomain } from '../mesh/index.ts';

export const trustDomainName = z
  .string()
  .refine(isTrustDomain, 'must be a SPIFFE trust domain: 1 to 255 characters of [a-z0-9._-]');

/** A list of match values: bounded, and none empty, because an empty string matches nothing and hides a typo. */
export const stringList = z.array(z.string().min(1).max(1024)).min(1).max(512);

/** Exact, `prefix*`, `*suffix` or `*`: Istio's string match. A star elsewhere is refused rather than taken literally. */
export const matchList = z
  .array(
    z
      .string()
      .min(1)
      .max(1024)
      .refine((value) => !value.slice(1, -1).includes('*'), 'a * may stand only first or last')
      .refine((value) => value === '*' || !(value.startsWith('*') && value.endsWith('*')), 'use a * first or last, not both'),
  )
  .min(1)
  .max(512);

/** An address or CIDR. Host bits may be set, as in Istio; anything unparsable is an error, never a skipped rule. */
export const ipBlock = z.string().max(64).refine(isIpBlock, 'must be an IP address or a CIDR such as 10.0.0.0/8');

function isIpBlock(text: string): boolean {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  // ipaddr.js also reads "10.1" and octal; only the four-part form is an address here.
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false;
  if (slash < 0) return true;
  const bits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(bits)) return false;
  return Number(bits) <= (address.includes(':') ? 128 : 32);
}
