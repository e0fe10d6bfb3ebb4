import { constants, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { checkPeerLeaf } from '@sallyport/shared/pki';
import type { TrustBundle } from './trust.ts';

/** One X.509-SVID with its key, as held in memory. Times in milliseconds since the epoch. */
export interface Svid {
  readonly spiffeId: string;
  /** Serial number in lower-case hexadecimal, as the operator records it. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly renewAt: number;
  /** True of one that a Workload API gave, and not the operator. */
  readonly external?: boolean;
  /** PEM, leaf first. */
  readonly chain: readonly string[];
  readonly privateKey: KeyObject;
}

/** Raised for an SVID that the operator sent and that must not be used; the message says why. */
class UnusableSvidError extends Error {
  override readonly name = 'UnusableSvidError';
}

interface IssuedSvid {
  readonly chain: readonly string[];
  readonly renewAt: number;
}

/**
 * Checks an issued chain before it replaces a working one: it must certify our key, carry the expected SPIFFE ID, be
 * valid now and lead to one of `roots`.
 *
 * @throws UnusableSvidError naming what is wrong
 */
export function acceptSvid(issued: IssuedSvid, expected: string, privateKey: KeyObject, roots: readonly string[], now: number): Svid {
  const certificates = issued.chain.map(parseCertificate);
  const leaf = certificates[0];
  if (!leaf) throw new UnusableSvidError('the chain is empty');
  const id = checkPeerLeaf(leaf.raw);
  if (id.uri !== expected) throw new UnusableSvidError(`it names ${id.uri} instead of ${expected}`);
  if (!leaf.publicKey.equals(createPublicKey(privateKey))) throw new UnusableSvidError('it certifies another key');
  checkPath(certificates, roots.map(parseCertificate));
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  if (notAfter <= now) throw new UnusableSvidError(`it expired at ${leaf.validTo}; check the clock of this machine`);
  if (notBefore > now) throw new UnusableSvidError(`it is not valid before ${leaf.validFrom}; check the clock of this machine`);
  const { chain, renewAt } = issued;
  return { spiffeId: expected, serial: leaf.serialNumber.toLowerCase(), notBefore, notAfter, renewAt, chain, privateKey };
}

function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new UnusableSvidError('a certificate in the chain or bundle is not readable');
  }
}

/** RFC 5280 §6.1: a path ends at a trust anchor. What comes after it is for those who trust another one above. */
function checkPath(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): void {
  const signs = (below: X509Certificate, above: X509Certificate) => below.checkIssued(above) && below.verify(above.publicKey);
  for (const [index, certificate] of chain.entries()) {
    if (roots.some((root) => signs(certificate, root))) return;
    const issuer = chain[index + 1];
    if (!issuer || !signs(certificate, issuer)) break;
  }
  throw new UnusableSvidError('its chain does not lead to a root of the trust bundle');
}

/** TLS settings of one identity. Listeners are told when the SVID or the trust bundle changed. */
export class Credentials {
  readonly spiffeId: string;
  /** Whom this identity believes. */
  readonly trust: TrustBundle;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;
  #svid: Svid | null = null;
  #context: tls.SecureContext | null = null;

  constructor(spiffeId: string, trust: TrustBundle) {
    this.spiffeId = spiffeId;
    this.trust = trust;
    this.#unsubscribe = trust.onChange(() => this.#changed());
  }

  get svid(): Svid | null {
    return this.#svid;
  }

  /** Takes a new SVID for connections to come; established ones go on. */
  install(svid: Svid): void {
    this.#svid = svid;
    this.#changed();
  }

  /** Gives the SVID up: there is no TLS under this identity until another one comes. */
  withdraw(): void {
    this.#svid = null;
    this.#changed();
  }

  /** Calls `listener` after each change. Returns the way to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Options for `tls.Server`, or null as long as there is no SVID. */
  options(): tls.SecureContextOptions | null {
    return this.#svid && meshTlsOptions(this.trust.anchors, this.#svid);
  }

  /** The context for outbound connections, or null as long as there is no SVID. Cached: building one costs a millisecond. */
  context(): tls.SecureContext | null {
    const options = this.options();
    if (!options) return null;
    this.#context ??= tls.createSecureContext(options);
    return this.#context;
  }

  /** Forgets the key. */
  dispose(): void {
    this.#unsubscribe();
    this.#listeners.clear();
    this.#svid = null;
    this.#context = null;
  }

  #changed(): void {
    this.#context = null;
    for (const listener of this.#listeners) listener();
  }
}

/**
 * TLS 1.3 only and no resumption: a resumed session skips the peer checks and outlives the peer's certificate
 * (research/identity-pki.md §3b).
 *
 * @param anchors roots that are bound to their trust domains
 */
export function meshTlsOptions(anchors: readonly string[], svid: Svid | null): tls.SecureContextOptions {
  const common: tls.SecureContextOptions = {
    ca: [...anchors],
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  if (!svid) return common;
  return { ...common, cert: svid.chain.join(''), key: svid.privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}
