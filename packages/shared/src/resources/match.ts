import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/** SPIFFE-ID §2.1. */
export const trustDomainName = z.string().regex(/^[a-z0-9._-]{1,255}$/, 'must be a SPIFFE trust domain: 1 to 255 characters of [a-z0-9._-]').meta({ maxLength: 255 });

/** A list of match values: bounded, and none empty, because an empty string matches nothing and hides a typo. */
export const stringList = z.array(z.string().min(1).max(1024)).min(1).max(512);

/** An address or CIDR. Host bits may be set, as in Istio; anything unparsable is an error, never a skipped rule. */
export const ipBlock = z
  .string()
  .max(64)
  .refine(isIpBlock, 'must be an IP address or a CIDR such as 10.0.0.0/8')
  // For the CRD a first sieve, which lets nothing fall that the check above takes: CEL would count the lists' product.
  .meta({ pattern: String.raw`^([0-9]{1,3}(\.[0-9]{1,3}){3}(/([0-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[^/]*)?(/[0-9]{1,3})?)$` });

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

/** 1 to 65535. */
export const PORT_PATTERN = '^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$';
const PORT = new RegExp(PORT_PATTERN);

/** A port number in decimal, as policies write it. */
export const portText = z.string().max(5).regex(PORT, 'must be a port number in quotes');

/** True for a port number in decimal. */
export function isPort(text: string): boolean {
  return PORT.test(text);
}

/** A path: exact, `prefix*`, `*suffix`, `*`, or a template. */
export const pathPattern = z
  .string()
  .min(1)
  .max(1024)
  .superRefine((path, ctx) => {
    const problem = pathTemplateProblem(path);
    if (problem !== null) ctx.addIssue({ code: 'custom', message: problem });
  })
  // What pathTemplateProblem says, for the CRD; a property test holds the two together.
  .meta({ pattern: String.raw`^([^{}]*|((\{\*\}|[^{}*/]*)/)*(\{\*\*\}|\{\*\}|[^{}*/]*)(/[^{}*/]*)*)$` });

/**
 * What is wrong with a path pattern that holds a brace, or null. Istio v1 `paths`: `{*}` is one segment, `{**}` any
 * rest and the last operator; no other brace, and no bare star beside them.
 */
function pathTemplateProblem(path: string): string | null {
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
