export {
  type CertificateTemplate, fromPem, hashFor, type Issuer, type IssuerName, issueCertificate, type Signer, signCertificate, toPem,
} from './certificate.ts';
export { createCsr, InvalidCsrError, readCsr } from './csr.ts';
export { type PeerCertificate, peerCertificate } from './peer-certificate.ts';
export { type CaCertificate, hostMeets, readCaCertificate, UnreadableCertificateError } from './read-certificate.ts';
export {
  activated, activeEntry, bundleOf, CA_STATES, caDocument, type CaDocument, type CaEntry, handoverAt, issuerMargin, nextStep, PARENTS, type Parent,
  published, refreshHint, removableAt, removed, type RotationFacts, type RotationPolicy, type RotationStep, seenByPeersAt, shortestLeaf, successorAt, successorRoot, waitingIssuer, withPrepared,
} from './rotation.ts';
export { TrustBridge } from './spiffe-bridge.ts';
export { BundleError, type JwtAuthority, readSpiffeBundle, type SpiffeBundle, writeJwtBundle, writeSpiffeBundle } from './spiffe-bundle.ts';
export { JwtSvidError, signJwtSvid, validateJwtSvid } from './spiffe-jwt.ts';
export * from './spiffe-messages.ts';
export { MessageError } from './spiffe-protobuf.ts';
export { checkPeerLeaf, PeerLeafError } from './spiffe-leaf.ts';
export { renewalDeadline, renewalTime } from './timing.ts';
