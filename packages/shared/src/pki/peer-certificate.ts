/** What is read of a TLS peer's certificate. */
export interface PeerCertificate {
  /** DER. */
  readonly raw: Buffer;
  /** SHA-256 of it, in hexadecimal with colons. */
  readonly fingerprint256: string;
  /** In hexadecimal, upper case. */
  readonly serialNumber: string;
}

/**
 * The leaf that the peer of a `tls.TLSSocket` showed; null when it showed none or is gone.
 *
 * Not by `getPeerX509Certificate()`: in Node 24 that one takes the chain off the session and frees nothing of it,
 * 4.6 KB at each handshake (seen with heaptrack in 24.20).
 */
export function peerCertificate(socket: { getPeerCertificate(): object | null }): PeerCertificate | null {
  // Against its types Node gives null for a socket that is gone, and an empty object for a peer without a certificate.
  const certificate: Partial<PeerCertificate> | null = socket.getPeerCertificate();
  const { raw, fingerprint256, serialNumber } = certificate ?? {};
  return raw !== undefined && fingerprint256 !== undefined && serialNumber !== undefined ? { raw, fingerprint256, serialNumber } : null;
}
