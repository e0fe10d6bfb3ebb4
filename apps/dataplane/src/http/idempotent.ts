const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** RFC 9110 §9.2.2: true when a request of this method may be sent again though it is not known whether the first was taken. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
