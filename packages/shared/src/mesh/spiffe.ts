/** A SPIFFE ID that passed {@link parseSpiffeId}. */
export interface SpiffeId {
  /** The canonical text, at most 2048 bytes. */
  readonly uri: string;
  readonly trustDomain: string;
  /** Path with its leading slash, or the empty string for a trust-domain ID. */
  readonly path: string;
  /** Set when the path has the form `/ns/<namespace>/sa/<serviceAccount>`. */
  readonly namespace: string | null;
  readonly serviceAccount: string | null;
}

/** Raised for text that is not a SPIFFE ID; the message says which rule it breaks. */
export class InvalidSpiffeIdError extends Error {
  override readonly name = 'InvalidSpiffeIdError';
}

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;
const MAX_LENGTH = 2048;

/** True for a legal trust-domain name (SPIFFE-ID §2.1). */
export function isTrustDomain(name: string): boolean {
  return TRUST_DOMAIN.test(name);
}

/**
 * Parses a SPIFFE ID by the SPIFFE-ID standard, §2.
 *
 * @returns the parsed ID
 * @throws InvalidSpiffeIdError naming the rule that the text breaks
 */
export function parseSpiffeId(text: string): SpiffeId {
  // §2: "The scheme ... MUST be set to `spiffe`"; go-spiffe reads it case-sensitively and so do we.
  if (!text.startsWith('spiffe://')) throw new InvalidSpiffeIdError('scheme must be spiffe://');
  // §2.3: implementations "MUST support ... up to 2048 bytes" and "SHOULD NOT generate" longer ones.
  if (text.length > MAX_LENGTH) throw new InvalidSpiffeIdError(`longer than ${MAX_LENGTH} bytes`);
  const rest = text.slice('spiffe://'.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? '' : rest.slice(slash);
  if (!isTrustDomain(trustDomain)) {
    throw new InvalidSpiffeIdError('trust domain must be 1 to 255 characters of [a-z0-9._-]');
  }
  checkPath(path);
  const match = /^\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(path);
  return {
    uri: text,
    trustDomain,
    path,
    namespace: match?.[1] ?? null,
    serviceAccount: match?.[2] ?? null,
  };
}

function checkPath(path: string): void {
  if (path === '') return;
  for (const segment of path.slice(1).split('/')) {
    // §2.2: segments "MUST NOT be empty" nor "." or "..", and hold only letters, digits, dot, dash, underscore.
    if (segment === '') throw new InvalidSpiffeIdError('path has an empty segment or a trailing slash');
    if (segment === '.' || segment === '..') throw new InvalidSpiffeIdError('path has a dot segment');
    if (!SEGMENT.test(segment)) throw new InvalidSpiffeIdError('path segment has a character outside [A-Za-z0-9._-]');
  }
}

/** The SPIFFE ID of a service account: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export function workloadSpiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** The SPIFFE ID under which a proxy talks to the operator. It is never a workload's identity. */
export function proxySpiffeId(trustDomain: string, proxy: string): string {
  return `spiffe://${trustDomain}/sallyport/proxy/${proxy}`;
}

/** The SPIFFE ID of the operator itself. */
export function operatorSpiffeId(trustDomain: string): string {
  return `spiffe://${trustDomain}/sallyport/operator`;
}
