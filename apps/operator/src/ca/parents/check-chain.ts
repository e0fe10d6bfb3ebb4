import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type CaCertificate, hostMeets, readCaCertificate, UnreadableCertificateError } from '@sallyport/shared/pki';
import { ParentError } from './parent.ts';

const MAX_CHAIN = 5;
const MAX_PEM = 128 * 1024;

/** The certificates of a PEM text, each by itself. @throws ParentError for none, too many or too much */
export function splitChain(text: string): string[] {
  const blocks = text.length > MAX_PEM ? null : text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g);
  if (!blocks) throw new ParentError(`it holds no certificate in PEM of at most ${MAX_PEM} bytes`);
  if (blocks.length > MAX_CHAIN) throw new ParentError(`its chain has ${blocks.length} certificates, at most ${MAX_CHAIN} are taken`);
  return blocks.map((block) => `${block}\n`);
}

/**
 * Checks an intermediate and what is above it before it may replace what signs now (RFC 5280 §6.1 as far as it bears on
 * a CA, and §4.2.1.9 and .10 for what it may issue).
 *
 * @returns the intermediate, and what lies between it and a root without that root
 * @throws ParentError with the first thing that is wrong
 */
export function checkChain(blocks: readonly string[], privateKey: KeyObject, trustDomain: string, now: number): { pem: string; chain: string[] } {
  const parsed = blocks.map((pem, index) => ({ pem, index, node: parseNode(pem, index), parts: parseParts(pem, index) }));
  const own = parsed[0];
  if (!own) throw new ParentError('the chain is empty');
  checkKey(own.node, privateKey);
  for (const { node, parts, index } of parsed) {
    checkCa(node, parts, index, now);
    checkConstraints(parts, trustDomain, index);
    const above = parsed[index + 1]?.node;
    if (above && !(node.checkIssued(above) && node.verify(above.publicKey))) throw new ParentError(`${label(index)} was not issued by the one after it; put the intermediate first, then its issuers in order`);
  }
  const between = parsed.slice(1).filter(({ node }) => !node.checkIssued(node));
  return { pem: own.pem, chain: between.map(({ pem }) => pem) };
}

function label(index: number): string {
  return index === 0 ? 'the intermediate' : `certificate ${index + 1} of the chain`;
}

function parseNode(pem: string, index: number): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new ParentError(`${label(index)} cannot be read`);
  }
}

function parseParts(pem: string, index: number): CaCertificate {
  try {
    return readCaCertificate(pem);
  } catch (error) {
    if (error instanceof UnreadableCertificateError) throw new ParentError(`${label(index)} is ${error.message}`);
    throw error;
  }
}

function checkKey(certificate: X509Certificate, privateKey: KeyObject): void {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey(privateKey);
  const curve = asymmetricKeyDetails?.namedCurve;
  const strong = asymmetricKeyType === 'rsa' ? (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 : curve === 'prime256v1' || curve === 'secp384r1';
  if (!strong) throw new ParentError('its key must be ECDSA P-256 or P-384, or RSA of at least 2048 bits');
  if (!certificate.checkPrivateKey(privateKey)) throw new ParentError('the key does not belong to the certificate; replace both together');
}

/** @param index certificates below it in the chain: how many intermediates its path length must allow */
function checkCa(node: X509Certificate, parts: CaCertificate, index: number, now: number): void {
  if (!parts.ca || !parts.signsCertificates) throw new ParentError(`${label(index)} is no CA (CA:TRUE and keyCertSign); ask for a subordinate CA certificate`);
  if (index === 0 && !parts.keyId) throw new ParentError(`${label(index)} has no subject key identifier (RFC 5280 §4.2.1.2)`);
  if (parts.pathLength !== null && parts.pathLength < index) throw new ParentError(`${label(index)} allows a path length of ${parts.pathLength}, and ${index} is needed`);
  if (node.validFromDate.getTime() > now) throw new ParentError(`${label(index)} is not valid before ${node.validFromDate.toISOString()}; check the clock`);
  if (node.validToDate.getTime() <= now) throw new ParentError(`${label(index)} expired at ${node.validToDate.toISOString()}`);
}

/** Issued SVIDs would be refused by every peer otherwise. */
function checkConstraints({ permittedHosts, excludedHosts }: CaCertificate, trustDomain: string, index: number): void {
  const permitted = permittedHosts?.some((host) => hostMeets(host, trustDomain)) ?? true;
  if (!permitted || excludedHosts.some((host) => hostMeets(host, trustDomain))) {
    throw new ParentError(`the name constraints of ${label(index)} do not allow trust domain ${trustDomain}`);
  }
}
