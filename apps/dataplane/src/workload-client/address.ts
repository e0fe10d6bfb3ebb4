/** sockaddr_un of Linux holds 108 bytes, the last of which is a NUL; a longer path would be cut off in silence. */
const MAX_PATH_BYTES = 107;

/**
 * The path in the address of a SPIFFE Workload Endpoint. Workload Endpoint §4: "If the scheme is set to unix, then the
 * authority component MUST NOT be set, and the path component MUST be set to the absolute path …, and no other
 * component may be set." `tcp` is refused: over it, nobody on the machine can be told from another.
 *
 * @returns null when the text is no such address
 */
export function endpointPath(address: string): string | null {
  const encoded = /^unix:(?:\/\/)?(\/[^/?#][^?#]*)$/.exec(address)?.[1];
  if (encoded === undefined) return null;
  try {
    // RFC 3986 §2.4: a component is decoded once, after it was separated from the others.
    const path = decodeURIComponent(encoded);
    return path.includes('\0') || Buffer.byteLength(path) > MAX_PATH_BYTES ? null : path;
  } catch {
    return null;
  }
}
