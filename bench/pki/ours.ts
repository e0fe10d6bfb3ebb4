import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createCsr, readCsr, type Signer, signCertificate } from '@sallyport/shared/pki';
import type { Contestant } from './contestant.ts';

const DAY = 24 * 3_600_000;
export const SPIFFE_ID = 'spiffe://bench.test/ns/shop/sa/web';

/** What the operator does for a request, without its database. */
export class Ours implements Contestant {
  readonly name = 'Sallyport (node-forge for DER, node:crypto for signatures)';
  readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly csr = createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  readonly #signer: Signer = { publicKey: this.keys.publicKey, sign: (tbs) => Promise.resolve(sign('sha256', tbs, this.keys.privateKey)) };

  issue(csr: string): Promise<string> {
    const now = Date.now();
    const template = { subject: '', uri: SPIFFE_ID, notBefore: now, notAfter: now + DAY, serial: randomBytes(16), kind: { ca: false } as const };
    return signCertificate(template, readCsr(csr), { subject: 'bench issuing' }, this.#signer);
  }
}
