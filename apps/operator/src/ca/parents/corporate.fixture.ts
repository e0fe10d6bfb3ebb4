import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { type CertificateTemplate, type Issuer, issueCertificate } from '@sallyport/shared/pki';

const HOUR = 3_600_000;

interface CaKeys {
  readonly subject: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A corporate CA: a root, a policy CA below it, and intermediates for us. */
export class CorporateCa {
  readonly #now: () => number;
  readonly #policy = keysFor('corporate policy CA');
  readonly rootPem: string;
  readonly policyPem: string;
  #serial = 10;

  constructor(now: () => number, root: Issuer = keysFor('corporate root')) {
    this.#now = now;
    this.rootPem = issueCertificate(this.#template({ subject: root.subject, notAfter: now() + 10_000 * HOUR }), root.publicKey, root);
    this.policyPem = issueCertificate(this.#template({ subject: this.#policy.subject, notAfter: now() + 5_000 * HOUR }), this.#policy.publicKey, root);
  }

  /** An intermediate for a key; `changes` make ones that must be refused. */
  certify(subject: string, key: KeyObject, changes: Partial<CertificateTemplate> = {}): string {
    return issueCertificate(this.#template({ subject, kind: { ca: true, pathLength: 0 }, ...changes }), key, this.#policy);
  }

  /** A certificate below an intermediate of ours. */
  certifyBelow(issuer: CaKeys, subject: string, key: KeyObject): string {
    return issueCertificate(this.#template({ subject, kind: { ca: true, pathLength: 0 } }), key, issuer);
  }

  /** Writes chain and key, with a fresh key. @returns the intermediate */
  writeFiles(files: { certificateFile: string; keyFile: string }, changes: Partial<CertificateTemplate> = {}, keys: CaKeys = keysFor('mesh intermediate')): string {
    const pem = this.certify(keys.subject, keys.publicKey, changes);
    writeFileSync(files.certificateFile, pem + this.policyPem + this.rootPem);
    writeFileSync(files.keyFile, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return pem;
  }

  #template(changes: Partial<CertificateTemplate>): CertificateTemplate {
    this.#serial += 1;
    const now = this.#now();
    return { subject: '', uri: null, notBefore: now - 60_000, notAfter: now + 100 * HOUR, serial: Buffer.from([this.#serial]), kind: { ca: true, pathLength: null }, ...changes };
  }
}

export function keysFor(subject: string): CaKeys {
  return { subject, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
}

export function rsaKeysFor(subject: string, bits: number): CaKeys {
  return { subject, ...generateKeyPairSync('rsa', { modulusLength: bits }) };
}
