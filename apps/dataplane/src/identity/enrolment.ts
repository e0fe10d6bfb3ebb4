import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { TrustBridge } from '@sallyport/shared/pki';
import type { ProxyConfig } from '../config.ts';
import { connectOperator } from '../config-stream/operator-session.ts';
import { meshTlsOptions } from './credentials.ts';
import type { Proof, SvidResponse } from './proof.ts';
import { readIfPresent, writeAtomically } from './state-dir.ts';

/** Gets the proxy's own SVID when it has none that is valid. */
export class Enrolment {
  readonly #config: ProxyConfig;
  readonly #proof: Proof;
  readonly #bundleFile: string;

  constructor(config: ProxyConfig, proof: Proof) {
    this.#config = config;
    this.#proof = proof;
    this.#bundleFile = join(config.stateDir, 'bundle.pem');
  }

  /** Roots that authenticate the operator at the join port: those given at installation and the last ones it sent. */
  roots(): string[] {
    const given = readFileSync(this.#config.bootstrapBundleFile, 'utf8');
    return splitPem(given + (readIfPresent(this.#bundleFile) ?? ''));
  }

  /** Keeps the roots for the next start: the bootstrap file may be older than the operator's present root. */
  remember(roots: readonly string[]): void {
    writeAtomically(this.#bundleFile, roots.map((root) => `${root.trim()}\n`).join(''));
  }

  /**
   * Proves who this proxy is, to the operator and to nobody else, and returns its SVID.
   *
   * @throws Error with the remedy when the proof is not accepted
   */
  async attest(csr: string): Promise<SvidResponse> {
    const { joinUrl, trustDomain } = this.#config;
    const anchors = new TrustBridge().anchors(new Map([[trustDomain, this.roots()]]));
    const session = await connectOperator(joinUrl, tls.createSecureContext(meshTlsOptions(anchors, null)), trustDomain);
    try {
      return await this.#proof.present(session, csr);
    } finally {
      session.close();
    }
  }
}

/** The certificates of a PEM file, each by itself. @throws Error when there is none */
function splitPem(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (!blocks) throw new Error('SALLYPORT_BOOTSTRAP_BUNDLE_FILE holds no certificate in PEM');
  return [...new Set(blocks.map((block) => `${block}\n`))];
}
