/** RFC 6750 names no bound; no header of ours takes more either, and every byte of it is hashed. */
const MAX_TOKEN_BYTES = 8 * 1024;

/** A token whose form is right. Nothing of it is verified. */
export interface DecodedToken {
  readonly text: string;
  readonly algorithm: string;
  readonly keyId: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
  /** The payload as it is in the token: base64url without padding. */
  readonly payload: string;
}

/** Takes a compact JWS (RFC 7515 §7.1) apart; null when it is none, or asks for what we do not know. */
export function decodeToken(text: string): DecodedToken | null {
  if (text.length > MAX_TOKEN_BYTES) return null;
  const [head, payload, signature, ...rest] = text.split('.');
  if (!isBase64url(head) || !isBase64url(payload) || !isBase64url(signature) || rest.length > 0) return null;
  const header = objectOf(head);
  const claims = objectOf(payload);
  if (header === null || claims === null || typeof header['alg'] !== 'string') return null;
  // RFC 7515 §4.1.11: an extension that must be understood and is not makes the token invalid. We understand none.
  if (header['crit'] !== undefined || header['b64'] !== undefined) return null;
  const keyId = typeof header['kid'] === 'string' ? header['kid'] : null;
  return { text, algorithm: header['alg'], keyId, claims, payload };
}

function isBase64url(text: string | undefined): text is string {
  return text !== undefined && /^[A-Za-z0-9_-]+$/.test(text);
}

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(UTF8.decode(Buffer.from(text, 'base64url')));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** RFC 7519 §7.2: the claims set is UTF-8; bytes that are not would be read differently by others. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });
