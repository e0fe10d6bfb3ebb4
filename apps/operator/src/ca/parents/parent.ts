import type { Parent } from '@sallyport/shared/pki';
import type { KeyPair } from '../key-files.ts';

/** What a parent CA gave us to issue with. */
export interface ParentCertificate {
  readonly parent: Exclude<Parent, 'selfSigned' | 'spire'>;
  readonly keys: KeyPair;
  /** Our CA certificate. */
  readonly pem: string;
  /** What lies between it and the parent's root, without that root. */
  readonly chain: readonly string[];
  /** Fingerprint of all that was given: what {@link ParentCa.offered} tells as long as it is the same. */
  readonly offer: string;
}

/** A CA above ours. */
export interface ParentCa {
  readonly kind: ParentCertificate['parent'];
  /** Fingerprint of the certificate that it offers now, where it offers one that we did not ask for; null otherwise. */
  offered(): string | null;
  /** @throws ParentError when it gives none, or none that may be used */
  obtain(now: number, lifetimeMs: number): Promise<ParentCertificate>;
  close(): void;
}

/** A parent gives no usable certificate; the message says why and what to do. What signs now goes on. */
export class ParentError extends Error {
  override readonly name = 'ParentError';
  /** It only waits for somebody: looking again costs nothing and is done soon. */
  readonly soon: boolean;

  constructor(message: string, soon = false) {
    super(message);
    this.soon = soon;
  }
}
