import { z } from 'zod';
import { checked } from './checks.ts';
import { IPV6, PORT_PATTERN, stringList } from './match.ts';
import { attachment, attachmentCheck, duration } from './meta.ts';

const headerName = z.string().min(1).max(128).regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be an HTTP header name');
const name = z.string().min(1).max(128).regex(/^[\x21-\x7e]+$/, 'must be printable without spaces');
/** RFC 3986 as far as the keys' address needs it; secrets do not belong into a resource, so there is no `user:password@`. */
const WEB_ADDRESS = new RegExp(String.raw`^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._-]+|\[${IPV6}\])(:${PORT_PATTERN.slice(1, -1)})?([/?#][!-~]*)?$`);
/** A set of public keys as RFC 7517 writes it; checked as JSON here and as keys where they are used. */
const jwks = z.string().min(2).max(64 * 1024).refine(isJwks, 'must be a JSON Web Key Set: {"keys": [...]}');

const headerLocation = z.strictObject({
  name: headerName.describe('Header that holds the token.'),
  prefix: z.string().max(128).optional().describe('Text before the token, such as `Bearer ` with its space.'),
});
const claimHeader = z.strictObject({
  header: headerName.describe('Header that the application gets.'),
  claim: z.string().min(1).max(256).describe('Claim whose value it carries.'),
});

const jwtRule = checked(
  z.strictObject({
    issuer: z.string().min(1).max(512).describe('The `iss` claim of the tokens that this rule accepts.'),
    audiences: z.array(z.string().min(1).max(512)).max(64).optional().describe('A token must be for one of these (`aud`). Empty or absent: any audience.'),
    jwksUri: z.url({ protocol: /^https?$/ }).max(2048).regex(WEB_ADDRESS, 'must be an http or https URL without credentials').meta({ pattern: WEB_ADDRESS.source }).optional().describe('Where the operator fetches the keys. Absent, with `jwks` absent too: found by OpenID discovery from the issuer.'),
    jwks: jwks.optional().describe('The keys themselves, as a JSON Web Key Set. Excludes `jwksUri`.'),
    fromHeaders: z.array(headerLocation).max(16).optional().describe('Headers to look in. With no location at all: `Authorization: Bearer`, then the parameter `access_token`.'),
    fromParams: z.array(name).max(16).optional().describe('Query parameters to look in.'),
    fromCookies: z.array(name).max(16).optional().describe('Cookies to look in.'),
    outputPayloadToHeader: headerName.optional().describe('Header that carries the token’s payload to the application, in base64url.'),
    outputClaimToHeaders: z.array(claimHeader).max(32).optional().describe('Claims that are passed to the application.'),
    forwardOriginalToken: z.boolean().optional().describe('Whether the application gets the token itself. Default: no.'),
    spaceDelimitedClaims: stringList.max(32).optional().describe('Claims whose text is a list divided by spaces, besides `scope` and `permission`.'),
    timeout: duration.default('5s').describe('How long the operator waits for `jwksUri`.'),
  }),
  { test: (rule) => rule.jwks === undefined || rule.jwksUri === undefined, cel: '!(has(self.jwks) && has(self.jwksUri))', field: 'jwksUri', message: 'jwks and jwksUri exclude each other' },
);

/** Istio v1 `RequestAuthentication.spec` by name and meaning. */
export const requestAuthenticationSpec = checked(
  z.strictObject({
    ...attachment,
    jwtRules: z.array(jwtRule).max(64).default([]).describe('The issuers whose tokens are accepted. A request without a token passes; AuthorizationPolicy may then refuse it.'),
  }),
  attachmentCheck,
).describe('Whose tokens are valid, where they are found, and what the application gets of them: Istio’s `RequestAuthentication` by name and meaning.');

export type JwtRule = z.infer<typeof jwtRule>;

function isJwks(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && Array.isArray((value as { keys?: unknown }).keys);
  } catch {
    return false;
  }
}
