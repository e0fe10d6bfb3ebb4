export { type CertificateTemplate, fromPem, type Issuer, issueCertificate, toPem } from './certificate.ts';
export { createCsr, InvalidCsrError, readCsr } from './csr.ts';
export { checkPeerLeaf, PeerLeafError } from './leaf.ts';
export { renewalDeadline, renewalTime } from './timing.ts';
