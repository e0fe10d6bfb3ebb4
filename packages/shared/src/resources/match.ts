import { z } from 'zod';

/** SPIFFE-ID §2.1. */
export const trustDomainName = z.string().regex(/^[a-z0-9._-]{1,255}$/, 'must be a SPIFFE trust domain: 1 to 255 characters of [a-z0-9._-]').meta({ maxLength: 255 });

/** A list of match values: bounded, and none empty, because an empty string matches nothing and hides a typo. */
export const stringList = z.array(z.string().min(1).max(1024)).min(1).max(512);

const BYTE = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = String.raw`${BYTE}(\.${BYTE}){3}`;
const GROUP = '[0-9A-Fa-f]{1,4}';
/** RFC 4291 §2.2: eight groups, of which `::` stands for one or more, and the last two may be an IPv4 address. */
export const IPV6 = `(${[
  `(${GROUP}:){7}${GROUP}`, `(${GROUP}:){6}${IPV4}`, `(${GROUP}:){1,7}:`, `:(:${GROUP}){1,7}`, '::',
  ...[1, 2, 3, 4, 5, 6].map((before) => `(${GROUP}:){${before}}(:${GROUP}){1,${7 - before}}`),
  `::(${GROUP}:){0,5}${IPV4}`, ...[1, 2, 3, 4, 5].map((before) => `(${GROUP}:){${before}}:(${GROUP}:){0,${5 - before}}${IPV4}`),
].join('|')})`;

/** Octets without leading zeros: some read those as octal. The same for zod and for the CRD, where CEL would count the lists' product. */
const IP_BLOCK = new RegExp(`^(${IPV4}(/([0-9]|[12][0-9]|3[0-2]))?|${IPV6}(%[0-9A-Za-z]+)?(/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))?)$`);

/** An address or CIDR. Host bits may be set, as in Istio; anything unparsable is an error, never a skipped rule. */
export const ipBlock = z
  .string()
  .max(64)
  .regex(IP_BLOCK, 'must be an IP address or a CIDR such as 10.0.0.0/8');

/** One address, without a zone. */
export const ipAddress = z.string().max(45).regex(new RegExp(`^(${IPV4}|${IPV6})$`), 'must be an IPv4 or IPv6 address');

/** True for an IPv4 or IPv6 address, alone or with a prefix length. */
export function isIpBlock(text: string): boolean {
  return IP_BLOCK.test(text);
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
