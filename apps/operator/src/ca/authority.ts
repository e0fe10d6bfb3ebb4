import { type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { type Issuer, issueCertificate, renewalTime } from '@sallyport/shared/pki';
import { KeyFiles, newKeyPair } from './key-files.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** identity-pki.md §5: root 3 years, issuer 30 days and replaced at 15. */
const ROOT_LIFETIME = 3 * 365 * DAY;
const ISSUER_LIFETIME = 30 * DAY;
/** Clocks of proxies may be behind by this much (istio#32176). */
const SKEW = MINUTE;
const SHORTEST_LEAF = MINUTE;

/** An issued SVID. Times in ms since the epoch. */
export interface IssuedSvid {
  readonly spiffeId: string;
  /** Leaf, then the issuing intermediate, in PEM. */
  readonly chain: readonly [string, string];
  readonly serial: string;
  readonly issuer: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly renewAt: number;
}

/** The CA cannot issue now; the message says why and what to do. */
export class IssuanceError extends Error {
  override readonly name = 'IssuanceError';
}

/**
 * The trust domain's CA: a self-signed root that signs only intermediates, and an issuing intermediate that signs
 * SVIDs. Keys are files of mode 0600 in the operator's state directory, never in the database.
 */
export class Authority {
  readonly #files: KeyFiles;
  readonly #trustDomain: string;
  readonly #now: () => number;
  readonly #root: { issuer: Issuer; pem: string };
  #issuing: { issuer: Issuer; pem: string };

  constructor(options: { directory: string; trustDomain: string; now: () => number }) {
    this.#files = new KeyFiles(options.directory);
    this.#trustDomain = options.trustDomain;
    this.#now = options.now;
    this.#root = this.#load('root') ?? this.#createRoot();
    this.#issuing = this.#load('issuing') ?? this.#createIssuing();
  }

  #load(name: 'root' | 'issuing'): { issuer: Issuer; pem: string } | null {
    const keys = this.#files.readKey(`${name}.key`);
    const pem = this.#files.read(`${name}.pem`);
    if (!keys || pem === null) return null;
    const certificate = new X509Certificate(pem);
    if (!certificate.checkPrivateKey(keys.privateKey)) throw new IssuanceError(`${name}.key does not belong to ${name}.pem; restore both from one backup`);
    return { issuer: { subject: commonName(certificate.subject), ...keys }, pem };
  }

  #createRoot(): { issuer: Issuer; pem: string } {
    const keys = newKeyPair();
    const issuer = { subject: `${this.#trustDomain} root ${randomBytes(4).toString('hex')}`, ...keys };
    return this.#certify('root', issuer, issuer, ROOT_LIFETIME, null);
  }

  #createIssuing(): { issuer: Issuer; pem: string } {
    const issuer = { subject: `${this.#trustDomain} issuing ${randomBytes(4).toString('hex')}`, ...newKeyPair() };
    return this.#certify('issuing', issuer, this.#root.issuer, ISSUER_LIFETIME, 0);
  }

  #certify(name: 'root' | 'issuing', subject: Issuer, signer: Issuer, lifetime: number, pathLength: number | null) {
    const now = this.#now();
    const template = {
      subject: subject.subject,
      uri: `spiffe://${this.#trustDomain}`,
      notBefore: now - SKEW,
      notAfter: now + lifetime,
      serial: newSerial(),
      kind: { ca: true, pathLength } as const,
    };
    const pem = issueCertificate(template, subject.publicKey, signer);
    this.#files.writeKey(`${name}.key`, subject.privateKey);
    this.#files.write(`${name}.pem`, pem);
    if (name === 'issuing') this.#files.write('issuers.json', JSON.stringify([...this.issuerNames(), subject.subject]));
    return { issuer: subject, pem };
  }

  /** Roots of the trust bundle, in PEM. */
  roots(): string[] {
    return [this.#root.pem];
  }

  /** Names of every issuing certificate that this CA has made: who may have signed an SVID of ours. */
  issuerNames(): string[] {
    return JSON.parse(this.#files.read('issuers.json') ?? '[]') as string[];
  }

  /** The certificates that sign, for the console. */
  certificates(): { root: X509Certificate; issuing: X509Certificate } {
    return { root: new X509Certificate(this.#root.pem), issuing: new X509Certificate(this.#issuing.pem) };
  }

  /**
   * Issues an X.509-SVID of at most 24 h that never outlives its issuer.
   *
   * @throws IssuanceError when the issuer or the root has expired
   */
  issueSvid(spiffeId: string, key: KeyObject, lifetimeMs: number): IssuedSvid {
    const now = this.#now();
    this.#renewIssuing(now);
    const issuerEnd = new X509Certificate(this.#issuing.pem).validToDate.getTime();
    const notAfter = floorSecond(Math.min(now + Math.min(lifetimeMs, DAY), issuerEnd - MINUTE));
    if (notAfter - now < SHORTEST_LEAF) throw new IssuanceError('the issuing certificate is about to expire; replace the root of this trust domain');
    const notBefore = floorSecond(now - SKEW);
    const serial = newSerial();
    const template = { subject: '', uri: spiffeId, notBefore, notAfter, serial, kind: { ca: false } as const };
    const leaf = issueCertificate(template, key, this.#issuing.issuer);
    // Half of the time that is left from now; the allowance for skew is not part of an SVID's working life.
    const renewAt = renewalTime(now, notAfter, randomBytes(4).readUInt32BE() / 2 ** 32);
    return { spiffeId, chain: [leaf, this.#issuing.pem], serial: serial.toString('hex'), issuer: this.#issuing.issuer.subject, notBefore, notAfter, renewAt };
  }

  #renewIssuing(now: number): void {
    const present = new X509Certificate(this.#issuing.pem);
    const start = present.validFromDate.getTime();
    const end = present.validToDate.getTime();
    if (now < start + (end - start) / 2) return;
    if (new X509Certificate(this.#root.pem).validToDate.getTime() - ISSUER_LIFETIME < now) return;
    this.#issuing = this.#createIssuing();
  }
}

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes; 16 with the top bit clear and the next set never start with a zero. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function floorSecond(at: number): number {
  return Math.floor(at / 1000) * 1000;
}

/** CN of an X509Certificate's subject text. */
function commonName(subject: string): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? subject;
}
