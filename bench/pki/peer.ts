import { webcrypto } from 'node:crypto';
// Its dependency injection wants this before it.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { Contestant } from './contestant.ts';
import { type Ours, SPIFFE_ID } from './ours.ts';

const DAY = 24 * 3_600_000;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** The same with @peculiar/x509 over WebCrypto. */
export class Peer implements Contestant {
  readonly name = '@peculiar/x509';
  readonly #signingKey: webcrypto.CryptoKey;
  readonly #publicKey: webcrypto.CryptoKey;

  private constructor(signingKey: webcrypto.CryptoKey, publicKey: webcrypto.CryptoKey) {
    this.#signingKey = signingKey;
    this.#publicKey = publicKey;
  }

  static async create({ keys }: Ours): Promise<Peer> {
    x509.cryptoProvider.set(webcrypto);
    const { subtle } = webcrypto;
    const signingKey = await subtle.importKey('pkcs8', keys.privateKey.export({ type: 'pkcs8', format: 'der' }), ECDSA, false, ['sign']);
    const publicKey = await subtle.importKey('spki', keys.publicKey.export({ type: 'spki', format: 'der' }), ECDSA, true, ['verify']);
    return new Peer(signingKey, publicKey);
  }

  async issue(csr: string): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(csr);
    if (!(await request.verify())) throw new Error('proof of possession failed');
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.create({
      issuer: 'CN=bench issuing, O=Sallyport',
      subject: '',
      notBefore: new Date(now),
      notAfter: new Date(now + DAY),
      publicKey: request.publicKey,
      signingKey: this.#signingKey,
      signingAlgorithm: ECDSA,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: SPIFFE_ID }], true),
        await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#publicKey),
      ],
    });
    return certificate.toString('pem');
  }
}
