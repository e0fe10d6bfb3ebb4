import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '@sallyport/shared/mesh';
import { checkPeerLeaf, type PeerCertificate, peerCertificate } from '@sallyport/shared/pki';
import type { Peer, TrustBundle } from './trust.ts';

/** Raised for a peer whose certificate chain is fine for OpenSSL and which is still not who it must be. */
class PeerRefusedError extends Error {
  override readonly name = 'PeerRefusedError';
}

/** Leaves that passed, by their fingerprints: the rules look at nothing but the certificate, and callers come again. */
const passed = new Map<string, SpiffeId>();
const MAX_PASSED = 4096;

/**
 * The identity of a TLS peer after a finished handshake, checked by the X.509-SVID rules.
 *
 * @throws PeerRefusedError or PeerLeafError with the reason
 */
function verifiedPeer(socket: TLSSocket): Peer {
  // rejectUnauthorized has refused already; this is the second lock, should an option ever get lost.
  if (!socket.authorized) throw new PeerRefusedError('certificate chain is not verified');
  if (socket.isSessionReused()) throw new PeerRefusedError('session was resumed, so its certificate was not checked');
  const certificate = peerCertificate(socket);
  if (!certificate) throw new PeerRefusedError('peer sent no certificate');
  return { id: checkedLeaf(certificate), serial: certificate.serialNumber.toLowerCase() };
}

function checkedLeaf(certificate: PeerCertificate): SpiffeId {
  const fingerprint = certificate.fingerprint256;
  const known = passed.get(fingerprint);
  if (known) return known;
  const id = checkPeerLeaf(certificate.raw);
  const [oldest] = passed.keys();
  if (oldest !== undefined && passed.size >= MAX_PASSED) passed.delete(oldest);
  passed.set(fingerprint, id);
  return id;
}

/**
 * The identity of a mesh peer, which must be a workload's: a control plane's own SVIDs are not for the mesh.
 *
 * @throws PeerRefusedError or PeerLeafError with the reason
 */
export function workloadIdentity(socket: TLSSocket, trust: TrustBundle): SpiffeId {
  const peer = verifiedPeer(socket);
  const { id } = peer;
  const isWorkload = id.trustDomain === trust.trustDomain ? id.namespace !== null : !id.path.startsWith('/sallyport/');
  if (!isWorkload) throw new PeerRefusedError(`peer ${id.uri} is not a workload identity`);
  admit(socket, peer, trust);
  return id;
}

/**
 * @param trust who also has a say and may close the connection later; null towards the operator
 * @throws PeerRefusedError when the server is not `expected`
 */
export function expectIdentity(socket: TLSSocket, expected: string, trust: TrustBundle | null): void {
  const peer = verifiedPeer(socket);
  if (peer.id.uri !== expected) throw new PeerRefusedError(`peer is ${peer.id.uri}, expected ${expected}`);
  if (trust) admit(socket, peer, trust);
}

/**
 * What Node's word for a failed verification means here. A name that the bridge does not permit has no word of its own.
 *
 * @param code `authorizationError` of a TLS socket
 */
export function chainProblem(code: string): string {
  return code === 'UNSPECIFIED' ? 'certificate chain: its root may not vouch for this name: another trust domain, or a broken constraint' : `certificate chain: ${code}`;
}

function admit(socket: TLSSocket, peer: Peer, trust: TrustBundle): void {
  const objection = trust.objection(peer);
  if (objection !== null) throw new PeerRefusedError(objection);
  trust.watch(socket, peer);
}
