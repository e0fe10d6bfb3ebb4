import { type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import {
  activeEntry, bundleOf, type CaDocument, type CaEntry, issuerMargin, readCaCertificate, renewalTime, shortestLeaf, type Signer, signCertificate,
} from '@sallyport/shared/pki';
import { signingPair } from './ca-entries.ts';
import type { CaStore } from './ca-store.ts';
import { signerOf } from './key-files.ts';

const MINUTE = 60_000;
const LONGEST_LEAF = 7 * 24 * 60 * MINUTE;
/** Clocks of proxies may be behind by this much (istio#32176). */
export const SKEW = MINUTE;

/** An issued SVID. Times in ms since the epoch. */
export interface IssuedSvid {
  readonly spiffeId: string;
  /** Leaf, then what leads to a root of the bundle or of the CA's parent, in PEM. */
  readonly chain: readonly string[];
  readonly serial: string;
  readonly issuer: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly renewAt: number;
}

/** The CA cannot issue now; the message says why, the remedy what to do. */
export class IssuanceError extends Error {
  override readonly name = 'IssuanceError';
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

const REPAIR = 'run: sallyport ca rotate-root, then: sallyport ca activate --force; or stop the operator and run: sallyport ca repair --offline. Then give proxies the new bundle.pem';

/** Signs SVIDs with the active issuer. Which issuer that is, and how it is followed, is the rotation's affair. */
export class Authority {
  readonly #store: CaStore;
  readonly #now: () => number;
  #signer: { id: string; signer: Signer; name: ReturnType<typeof issuerName> } | null = null;

  constructor(options: { store: CaStore; now: () => number }) {
    this.#store = options.store;
    this.#now = options.now;
  }

  get document(): CaDocument {
    return this.#store.document;
  }

  /** Calls back after each change of the CA: roots, issuers, states. */
  onChange(listener: () => void): void {
    this.#store.onChange(listener);
  }

  /** Roots of the trust bundle, in PEM. */
  roots(): string[] {
    return bundleOf(this.document).map((entry) => entry.pem);
  }

  /** Names of every issuing certificate that this CA has had: who may have signed an SVID of ours. */
  issuerNames(): string[] {
    const named = this.document.entries.filter((entry) => entry.role === 'issuer').map((entry) => entry.subject);
    return [...new Set([...this.document.earlierIssuers, ...named])];
  }

  /** The certificates that sign, for the console. */
  certificates(): { root: X509Certificate; issuing: X509Certificate } {
    const { root, issuer } = this.#active();
    return { root: new X509Certificate(root.pem), issuing: new X509Certificate(issuer.pem) };
  }

  /**
   * Issues an X.509-SVID that never outlives its issuer.
   *
   * @throws IssuanceError when the issuer or the root has expired or is about to
   */
  async issueSvid(spiffeId: string, key: KeyObject, lifetimeMs: number): Promise<IssuedSvid> {
    const now = this.#now();
    const { root, issuer } = this.#active();
    const lifetime = Math.min(lifetimeMs, LONGEST_LEAF);
    const end = Math.min(issuer.notAfter, root.notAfter);
    checkUsable(issuer.notAfter <= root.notAfter ? issuer : root, now);
    const notAfter = floorSecond(Math.min(now + lifetime, end - issuerMargin(lifetime)));
    if (notAfter - now < shortestLeaf(lifetime)) throw new IssuanceError(`${issuer.subject} ends at ${new Date(end).toISOString()}, too soon for another SVID`, REPAIR);
    const notBefore = floorSecond(now - SKEW);
    const serial = newSerial();
    const template = { subject: '', uri: spiffeId, notBefore, notAfter, serial, kind: { ca: false } as const };
    const { signer, name } = this.#signing(issuer);
    this.#store.coverLeaf(issuer.id, notAfter, lifetime);
    const leaf = await signCertificate(template, key, name, signer);
    // Half of the time that is left from now; the allowance for skew is not part of an SVID's working life.
    const renewAt = renewalTime(now, notAfter, randomBytes(4).readUInt32BE() / 2 ** 32);
    return { spiffeId, chain: [leaf, issuer.pem, ...issuer.chain], serial: serial.toString('hex'), issuer: issuer.subject, notBefore, notAfter, renewAt };
  }

  #active(): { root: CaEntry; issuer: CaEntry } {
    const pair = signingPair(this.document);
    if (!pair) throw new IssuanceError('this CA has no active issuer yet', activeEntry(this.document, 'root') ? 'it makes one by itself; see: sallyport ca status' : REPAIR);
    return pair;
  }

  #signing(issuer: CaEntry) {
    if (this.#signer?.id !== issuer.id) this.#signer = { id: issuer.id, signer: signerOf(this.#store.keysOf(issuer)), name: issuerName(issuer.pem) };
    return this.#signer;
  }
}

/** Expired with its remedy: nothing that repairs may need what has expired (linkerd2#4808). */
function checkUsable(entry: CaEntry, now: number): void {
  if (entry.notAfter > now) return;
  throw new IssuanceError(`the ${entry.role} ${entry.subject} expired at ${new Date(entry.notAfter).toISOString()}; no SVID is issued under it`, REPAIR);
}

/** An issuer's name and key identifier as they stand in its own certificate, whoever made that. */
export function issuerName(pem: string) {
  const { subject, keyId } = readCaCertificate(pem);
  return { subject, ...(keyId ? { keyId } : {}) };
}

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes; 16 with the top bit clear and the next set never start with a zero. */
export function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function floorSecond(at: number): number {
  return Math.floor(at / 1000) * 1000;
}
