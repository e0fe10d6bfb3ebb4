import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { isTrustDomain } from '../mesh/index.ts';

export const trustDomainName = z
  .string()
  .refine(isTrustDomain, 'must be a SPIFFE trust domain: 1 to 255 characters of [a-z0-9._-]');

/** A list of match values: bounded, and none empty, because an empty string matches nothing and hides a typo. */
export const stringList = z.array(z.string().min(1).max(1024)).min(1).max(512);

/** An address or CIDR. Host bits may be set, as in Istio; anything unparsable is an error, never a skipped rule. */
export const ipBlock = z.string().max(64).refine(isIpBlock, 'must be an IP address or a CIDR such as 10.0.0.0/8');

/** True for an IPv4 or IPv6 address, alone or with a prefix length. */
export function isIpBlock(text: string): boolean {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  // ipaddr.js also reads "10.1" and octal; only the four-part form is an address here.
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false;
  if (slash < 0) return true;
  const bits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(bits)) return false;
  return Number(bits) <= (address.includes(':') ? 128 : 32);
}

/** True for a port number in decimal, as policies write it. */
export function isPort(text: string): boolean {
  return /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65_535;
}

/**
 * What is wrong with a path pattern that holds a brace, or null. Istio v1 `paths`: `{*}` is one segment, `{**}` any
 * rest and the last operator; no other brace, and no bare star beside them.
 */
export function pathTemplateProblem(path: string): string | null {
  if (!/[{}]/.test(path)) return null;
  const segments = path.split('/');
  const templated = segments.includes('{*}') || segments.includes('{**}');
  let rest = false;
  for (const segment of segments) {
    const operator = segment === '{*}' || segment === '{**}';
    if (operator && rest) return 'nothing but literal segments may follow {**}';
    if (segment === '{**}') rest = true;
    if (!operator && /[{}]/.test(segment)) return 'braces may only be a whole segment, {*} or {**}';
    if (!operator && templated && segment.includes('*')) return 'a bare * may not stand beside {*} or {**}';
  }
  return null;
}
