import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import type { z } from 'zod';
import { challengeResponse, joinRequest, reattestRequest, svidResponse } from '@sallyport/shared/push';
import type { ProxyConfig } from '../config.ts';
import { postJson } from '../config-stream/operator-session.ts';
import { isRefused, type Proof, type SvidResponse, withRemedy } from './proof.ts';
import { machineKey, readIfPresent, writeAtomically } from './state-dir.ts';

type MachineConfig = Pick<ProxyConfig, 'proxy' | 'role' | 'stateDir' | 'joinTokenFile'>;

/** By a single-use token at first, by the machine's own key ever after (push protocol, join port). */
export class MachineProof implements Proof {
  readonly #config: MachineConfig;
  readonly #machineKey: KeyObject;
  readonly #marker: string;

  /** @throws Error naming the file of the machine key when that cannot be used */
  constructor(config: MachineConfig) {
    this.#config = config;
    this.#machineKey = machineKey(config.stateDir);
    this.#marker = join(config.stateDir, 'enrolled');
  }

  async present(session: ClientHttp2Session, csr: string): Promise<SvidResponse> {
    const response = await this.#prove(session, csr);
    writeAtomically(this.#marker, `${this.#config.proxy}\n`);
    return response;
  }

  async #prove(session: ClientHttp2Session, csr: string): Promise<SvidResponse> {
    // The token is read at each attempt, so that a new one can be put in place without a restart.
    const token = this.#token();
    if (readIfPresent(this.#marker) !== null || token === null) {
      return this.#reattest(session, csr).catch((error: unknown) => {
        if (token === null || !isRefused(error)) throw told(error);
        return this.#join(session, csr, token);
      });
    }
    try {
      return await this.#join(session, csr, token);
    } catch (error) {
      // The answer to an earlier, successful join may have been lost: then the machine key is known already.
      if (!isRefused(error)) throw error;
      return this.#reattest(session, csr).catch(() => {
        throw told(error);
      });
    }
  }

  #token(): string | null {
    const file = this.#config.joinTokenFile;
    return file === null ? null : (readIfPresent(file)?.trim() ?? null);
  }

  #join(session: ClientHttp2Session, csr: string, token: string): Promise<SvidResponse> {
    const key = String(createPublicKey(this.#machineKey).export({ type: 'spki', format: 'pem' }));
    const { proxy, role } = this.#config;
    const body: z.input<typeof joinRequest> = { token, proxy, role, machineKey: key, csr };
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

function told(error: unknown): unknown {
  return isRefused(error) ? withRemedy(error, 'Make a new join token for this proxy and put it into SALLYPORT_JOIN_TOKEN_FILE') : error;
}
