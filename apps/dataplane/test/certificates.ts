import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateTemplate, type Issuer, issueCertificate } from '@sallyport/shared/pki';

export const TRUST_DOMAIN = 'mesh.test';
const HOUR = 3_600_000;

export interface KeyedCertificate {
  readonly key: string;
  readonly cert: string;
}

/** A root with one intermediate that signs leaves, made anew for each test. */
export class TestCa {
  readonly root: string;
  readonly intermediate: string;
  readonly #issuer: Issuer;

  constructor(name = 'root') {
    const root = issuerOf(name);
    this.#issuer = issuerOf(`${name} intermediate`);
    this.root = issueCertificate({ ...template(null), subject: root.subject, kind: { ca: true, pathLength: 1 } }, root.publicKey, root);
    const kind = { ca: true, pathLength: 0 } as const;
    this.intermediate = issueCertificate({ ...template(null), subject: this.#issuer.subject, kind }, this.#issuer.publicKey, root);
  }

  /** Certifies a key; `changes` make leaves that break a rule. PEM of leaf and intermediate. */
  certify(uri: string, publicKey: KeyObject, changes: Partial<CertificateTemplate> = {}): string[] {
    return [issueCertificate({ ...template(uri), ...changes }, publicKey, this.#issuer), this.intermediate];
  }

  /** A key pair with its certificate chain. */
  leaf(uri: string, changes: Partial<CertificateTemplate> = {}): KeyedCertificate {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })), cert: this.certify(uri, publicKey, changes).join('') };
  }

  /** A leaf with two URI SANs. */
  twoUriLeaf(directory: string, first: string, second: string): KeyedCertificate {
    return this.#byOpenssl(directory, `subjectAltName=critical,URI:${first},URI:${second}`);
  }

  /** A leaf whose extended key usage names this one purpose alone, as OpenSSL calls it. */
  leafFor(directory: string, uri: string, purpose: 'serverAuth' | 'clientAuth'): KeyedCertificate {
    return this.#byOpenssl(directory, `subjectAltName=critical,URI:${uri}\nextendedKeyUsage=${purpose}`);
  }

  /** A leaf by openssl, because our own code cannot write such a one. */
  #byOpenssl(directory: string, extensions: string): KeyedCertificate {
    const file = (name: string) => join(directory, name);
    writeFileSync(file('ca.key'), this.#issuer.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    writeFileSync(file('ca.pem'), this.intermediate);
    writeFileSync(file('ext'), `${extensions}\nbasicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n`);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(file('leaf.key'), key, { mode: 0o600 });
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    openssl('req', '-new', '-key', file('leaf.key'), '-subj', '/CN=leaf', '-out', file('leaf.csr'));
    openssl('x509', '-req', '-in', file('leaf.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-set_serial', '7', '-days', '1', '-extfile', file('ext'), '-out', file('leaf.pem'));
    return { key, cert: readFileSync(file('leaf.pem'), 'utf8') + this.intermediate };
  }
}

function issuerOf(subject: string): Issuer {
  return { subject, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
}

function template(uri: string | null): CertificateTemplate {
  const now = Date.now();
  return { subject: '', uri, notBefore: now - 60_000, notAfter: now + HOUR, serial: randomBytes(16), kind: { ca: false } };
}

export function workloadUri(namespace: string, account: string, trustDomain = TRUST_DOMAIN): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`;
}
