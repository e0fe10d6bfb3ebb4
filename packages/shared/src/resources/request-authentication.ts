import { z } from 'zod';
import { stringList } from './match.ts';
import { duration, targetRefs, workloadSelector } from './meta.ts';

const headerName = z.string().min(1).max(128).regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be an HTTP header name');
const name = z.string().min(1).max(128).regex(/^[\x21-\x7e]+$/, 'must be printable without spaces');
/** A set of public keys as RFC 7517 writes it; checked as JSON here and as keys where they are used. */
const jwks = z.string().min(2).max(64 * 1024).refine(isJwks, 'must be a JSON Web Key Set: {"keys": [...]}');

const jwtRule = z
  .strictObject({
    issuer: z.string().min(1).max(512),
    /** Empty or absent: any audience. */
    audiences: z.array(z.string().min(1).max(512)).max(64).optional(),
    /** Absent, with `jwks` absent too: found by OpenID discovery from the issuer. */
    jwksUri: z.url({ protocol: /^https?$/ }).max(2048).optional(),
    jwks: jwks.optional(),
    fromHeaders: z.array(z.strictObject({ name: headerName, prefix: z.string().max(128).optional() })).max(16).optional(),
    fromParams: z.array(name).max(16).optional(),
    fromCookies: z.array(name).max(16).optional(),
    outputPayloadToHeader: headerName.optional(),
    outputClaimToHeaders: z.array(z.strictObject({ header: headerName, claim: z.string().min(1).max(256) })).max(32).optional(),
    forwardOriginalToken: z.boolean().optional(),
    /** Claims whose text is a list divided by spaces, besides `scope` and `permission`. */
    spaceDelimitedClaims: stringList.max(32).optional(),
    /** How long the operator waits for `jwksUri`. Istio's default. */
    timeout: duration.default('5s'),
  })
  .refine((rule) => rule.jwks === undefined || rule.jwksUri === undefined, { path: ['jwksUri'], message: 'jwks and jwksUri exclude each other' });

/** Istio v1 `RequestAuthentication.spec` by name and meaning. */
export const requestAuthenticationSpec = z
  .strictObject({
    selector: workloadSelector.optional(),
    targetRefs,
    jwtRules: z.array(jwtRule).max(64).default([]),
  })
  .refine((spec) => spec.selector === undefined || spec.targetRefs === undefined, {
    path: ['targetRefs'],
    message: 'selector and targetRefs exclude each other',
  });

export type JwtRule = z.infer<typeof jwtRule>;

function isJwks(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && Array.isArray((value as { keys?: unknown }).keys);
  } catch {
    return false;
  }
}
