import { operatorSpiffeId } from '@sallyport/shared/mesh';
import { issueCertificate } from '@sallyport/shared/pki';
import { type IssuedSvid, newSerial } from './authority.ts';
import { newKeyPair } from './key-files.ts';
import type { Order } from './issuance.ts';

/** What a TLS server needs to be the operator and to know its peers. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string[];
}

/**
 * A certificate that nobody trusts, for an operator whose CA cannot issue: its API must run, because there it says what
 * is wrong and takes the orders that mend it.
 */
export async function placeholderIdentity(now: number): Promise<{ identity: TlsIdentity; renewAt: number }> {
  const keys = await newKeyPair();
  const subject = 'operator without a CA';
  const template = { subject, uri: null, notBefore: now, notAfter: now + 3_600_000, serial: newSerial(), kind: { ca: false } as const };
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { identity: { key, cert: issueCertificate(template, keys.publicKey, { subject, ...keys }), ca: [] }, renewAt: now };
}

/** A fresh SVID for the operator itself, and when to replace it (ms since the epoch). */
export async function issueOperatorIdentity(issue: (order: Order) => Promise<IssuedSvid>, roots: string[], trustDomain: string): Promise<{ identity: TlsIdentity; renewAt: number }> {
  const keys = await newKeyPair();
  // Recorded like any other, under no proxy's name.
  const svid = await issue({ id: operatorSpiffeId(trustDomain), key: keys.publicKey, proxy: '', workload: null, attestation: 'operator' });
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { identity: { key, cert: svid.chain.join(''), ca: roots }, renewAt: svid.renewAt };
}
