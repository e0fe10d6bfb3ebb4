import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import type { ClientHttp2Session } from 'node:http2';
import type { z } from 'zod';
import { TrustBridge } from '@sallyport/shared/pki';
import { challengeResponse, joinRequest, reattestRequest, svidResponse } from '@sallyport/shared/push';
import type { ProxyConfig } from '../config.ts';
import { connectOperator, postJson, PushFailure } from '../config-stream/operator-session.ts';
import { meshTlsOptions } from './credentials.ts';
import { readIfPresent, writeAtomically } from './state-dir.ts';

export type SvidResponse = z.infer<typeof svidResponse>;

/**
 * Gets the proxy's own SVID when it has none that is valid: by its single-use token at first, by its machine key ever
 * after (push protocol, join port).
 */
export class Enrolment {
  readonly #config: ProxyConfig;
  readonly #machineKey: KeyObject;
  readonly #marker: string;
  readonly #bundleFile: string;

  constructor(config: ProxyConfig, machineKey: KeyObject) {
    this.#config = config;
    this.#machineKey = machineKey;
    this.#marker = join(config.stateDir, 'enrolled');
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
   * Proves who this proxy is and returns its SVID.
   *
   * @throws Error with the remedy when neither the machine key nor a token is accepted
   */
  async attest(csr: string): Promise<SvidResponse> {
    const { joinUrl, trustDomain } = this.#config;
    const anchors = new TrustBridge().anchors(new Map([[trustDomain, this.roots()]]));
    const session = await connectOperator(joinUrl, tls.createSecureContext(meshTlsOptions(anchors, null)), trustDomain);
    try {
      const response = await this.#prove(session, csr);
      writeAtomically(this.#marker, `${this.#config.proxy}\n`);
      return response;
    } finally {
      session.close();
    }
  }

  async #prove(session: ClientHttp2Session, csr: string): Promise<SvidResponse> {
    // The token is read at each attempt, so that a new one can be put in place without a restart.
    const token = this.#token();
    if (readIfPresent(this.#marker) !== null || token === null) {
      return this.#reattest(session, csr).catch((error: unknown) => {
        if (token === null || !isRefused(error)) throw withRemedy(error);
        return this.#join(session, csr, token);
      });
    }
    try {
      return await this.#join(session, csr, token);
    } catch (error) {
      // The answer to an earlier, successful join may have been lost: then the machine key is known already.
      if (!isRefused(error)) throw error;
      return this.#reattest(session, csr).catch(() => {
        throw withRemedy(error);
      });
    }
  }

  #token(): string | null {
    const file = this.#config.joinTokenFile;
    return file === null ? null : (readIfPresent(file)?.trim() ?? null);
  }

  #join(session: ClientHttp2Session, csr: string, token: string): Promise<SvidResponse> {
    const machineKey = String(createPublicKey(this.#machineKey).export({ type: 'spki', format: 'pem' }));
    const { proxy, role } = this.#config;
    const body: z.input<typeof joinRequest> = { token, proxy, role, machineKey, csr };
    return postJson(session, '/v1/join', JSON.stringify(body), svidResponse);
  }

  async #reattest(session: ClientHttp2Session, csr: string): Promise<SvidResponse> {
    const { proxy } = this.#config;
    const { nonce } = await postJson(session, '/v1/challenge', JSON.stringify({ proxy }), challengeResponse);
    const text = Buffer.from(`sallyport-reattest:${proxy}:${nonce}`);
    const signature = sign('sha256', text, this.#machineKey).toString('base64');
    const body: z.input<typeof reattestRequest> = { proxy, nonce, signature, csr };
    return postJson(session, '/v1/reattest', JSON.stringify(body), svidResponse);
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof PushFailure && (error.status === 401 || error.status === 403 || error.status === 404);
}

function withRemedy(error: unknown): unknown {
  if (!isRefused(error)) return error;
  const text = `${(error as Error).message}. Make a new join token for this proxy and put it into SALLYPORT_JOIN_TOKEN_FILE`;
  return new Error(text, { cause: error });
}

/** The certificates of a PEM file, each by itself. @throws Error when there is none */
function splitPem(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (!blocks) throw new Error('SALLYPORT_BOOTSTRAP_BUNDLE_FILE holds no certificate in PEM');
  return [...new Set(blocks.map((block) => `${block}\n`))];
}
