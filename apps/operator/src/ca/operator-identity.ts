import { operatorSpiffeId } from '@sallyport/shared/mesh';
import type { Authority } from './authority.ts';
import { newKeyPair } from './key-files.ts';

/** What a TLS server needs to be the operator and to know its peers. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string[];
}

/** A fresh SVID for the operator itself, and when to replace it (ms since the epoch). */
export function issueOperatorIdentity(authority: Authority, trustDomain: string, lifetimeMs: number): { identity: TlsIdentity; renewAt: number } {
  const keys = newKeyPair();
  const svid = authority.issueSvid(operatorSpiffeId(trustDomain), keys.publicKey, lifetimeMs);
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { identity: { key, cert: svid.chain.join(''), ca: authority.roots() }, renewAt: svid.renewAt };
}
