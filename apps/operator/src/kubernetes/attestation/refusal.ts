import { TOKEN_AUDIENCE } from '@sallyport/shared/push';
import { z } from 'zod';

/** Claims of a service account token (KEP-1205) by which it can be told why it was refused. */
const claims = z.looseObject({
  aud: z.union([z.string(), z.array(z.string())]).transform((aud) => [aud].flat()).default([]),
  exp: z.number().default(0),
  'kubernetes.io': z.looseObject({ pod: z.looseObject({}).optional() }).default({}),
});

/**
 * Why a token was refused, with the remedy. The API server has decided already; its own words are for its log, and the claims that
 * are read here are nobody's proof, so that nothing of them is repeated.
 */
export function refusalOf(token: string, now: number): string {
  const read = claimsOf(token);
  if (read === null) return `this is no service account token; mount a projected volume with a serviceAccountToken of audience ${TOKEN_AUDIENCE}, and name its file in SALLYPORT_TOKEN_FILE`;
  if (!read.aud.includes(TOKEN_AUDIENCE)) return `the token is for another audience; the projected volume must ask for audience ${TOKEN_AUDIENCE}`;
  if (read.exp * 1000 <= now) return 'the token has expired; the kubelet writes a new one into SALLYPORT_TOKEN_FILE before that: read the file again, and when it stays old, look after the kubelet and the clock of the node';
  if (read['kubernetes.io'].pod === undefined) return 'the token is bound to no pod; use the projected volume of the pod, not a token of a Secret or of kubectl create token';
  return 'the API server does not accept the token: the pod or the service account that it was bound to is gone or was made anew; restart the pod, so that it gets a token of its own';
}

/** RFC 7519 §7.2 without the checks: a look, not a validation. */
function claimsOf(token: string): z.infer<typeof claims> | null {
  const [, payload = ''] = token.split('.');
  try {
    return claims.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
  } catch {
    return null;
  }
}
