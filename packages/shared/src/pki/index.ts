export { type CertificateTemplate, fromPem, type Issuer, issueCertificate, toPem } from './certificate.ts';
export { createCsr, InvalidCsrError, readCsr } from './csr.ts';
export { TrustBridge } from './spiffe-bridge.ts';
export { BundleError, type JwtAuthority, readSpiffeBundle, type SpiffeBundle, writeJwtBundle, writeSpiffeBundle } from './spiffe-bundle.ts';
export { JwtSvidError, signJwtSvid, validateJwtSvid } from './spiffe-jwt.ts';
export * from './spiffe-messages.ts';
export { MessageError } from './spiffe-protobuf.ts';
export { checkPeerLeaf, PeerLeafError } from './spiffe-leaf.ts';
export { renewalDeadline, renewalTime } from './timing.ts';
