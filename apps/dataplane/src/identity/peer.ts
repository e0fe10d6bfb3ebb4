import type { TLSSocket } from 'node:tls';
import { parseSpiffeId, type SpiffeId } from '@sallyport/shared/mesh';
import { checkPeerLeaf } from '@sallyport/shared/pki';

/** Raised for a peer whose certificate chain is fine for OpenSSL and which is still not who it must be. */
class PeerRefusedError extends Error {
  override readonly name = 'PeerRefusedError';
}

/**
 * The identity of a TLS peer after a finished handshake, checked by the X.509-SVID rules.
 *
 * @throws PeerRefusedError or PeerLeafError with the reason
 */
function peerIdentity(socket: TLSSocket, trustDomain: string): SpiffeId {
  // rejectUnauthorized has refused already; this is the second lock, should an option ever get lost.
  if (!socket.authorized) throw new PeerRefusedError('certificate chain is not verified');
  if (socket.isSessionReused()) throw new PeerRefusedError('session was resumed, so its certificate was not checked');
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) throw new PeerRefusedError('peer sent no certificate');
  const id = checkPeerLeaf(certificate.raw);
  if (id.trustDomain !== trustDomain) throw new PeerRefusedError(`peer ${id.uri} belongs to another trust domain`);
  return id;
}

/**
 * The identity of a mesh peer, which must be a workload's: a proxy's own SVID is for the operator alone.
 *
 * @throws PeerRefusedError or PeerLeafError with the reason
 */
export function workloadIdentity(socket: TLSSocket, trustDomain: string): SpiffeId {
  const id = peerIdentity(socket, trustDomain);
  if (id.namespace === null) throw new PeerRefusedError(`peer ${id.uri} is not a workload identity`);
  return id;
}

/** @throws PeerRefusedError when the server is not `expected` */
export function expectIdentity(socket: TLSSocket, expected: string): void {
  const id = peerIdentity(socket, parseSpiffeId(expected).trustDomain);
  if (id.uri !== expected) throw new PeerRefusedError(`peer is ${id.uri}, expected ${expected}`);
}
