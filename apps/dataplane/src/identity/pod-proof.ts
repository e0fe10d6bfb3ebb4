import { closeSync, openSync, readSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import type { z } from 'zod';
import { attestRequest, svidResponse, TOKEN_AUDIENCE } from '@sallyport/shared/push';
import type { ProxyConfig } from '../config.ts';
import { postJson } from '../config-stream/operator-session.ts';
import { isRefused, type Proof, type SvidResponse, withRemedy } from './proof.ts';

/** More than the protocol takes; a file that is longer is not a token, and is not read into memory. */
const MAX_TOKEN_BYTES = 16 * 1024;

const REMEDIES: Readonly<Record<number, string>> = {
  401: `The token must be a projected one with audience ${TOKEN_AUDIENCE}, and the pod that it is bound to must still be there`,
  403: 'SALLYPORT_PROXY must be <pod>.<namespace> of the pod in which this runs',
  404: 'That operator asks no Kubernetes: join by SALLYPORT_JOIN_TOKEN_FILE, or run the operator with SALLYPORT_STORE=kubernetes',
};

/** By the service account token that the kubelet projects into the pod (KEP-1205; push protocol, `POST /v1/attest`). */
export class PodProof implements Proof {
  readonly #config: Pick<ProxyConfig, 'proxy' | 'role'>;
  readonly #file: string;

  constructor(config: Pick<ProxyConfig, 'proxy' | 'role'>, file: string) {
    this.#config = config;
    this.#file = file;
  }

  async present(session: ClientHttp2Session, csr: string): Promise<SvidResponse> {
    const { proxy, role } = this.#config;
    // Read for each attempt and kept nowhere: the kubelet replaces the token at four fifths of its life.
    const body: z.input<typeof attestRequest> = { token: readToken(this.#file), proxy, role, csr };
    try {
      return await postJson(session, '/v1/attest', JSON.stringify(body), svidResponse);
    } catch (error) {
      throw isRefused(error) ? withRemedy(error, REMEDIES[error.status] ?? '') : error;
    }
  }
}

/** @throws Error that names the file, and never what is in it */
function readToken(file: string): string {
  const buffer = Buffer.alloc(MAX_TOKEN_BYTES + 1);
  const size = read(file, buffer);
  if (size === null) throw new Error(`SALLYPORT_TOKEN_FILE ${file} is not there: the pod needs a projected token of audience ${TOKEN_AUDIENCE}`);
  if (size > MAX_TOKEN_BYTES) throw new Error(`SALLYPORT_TOKEN_FILE ${file} is too large to hold a token`);
  const token = buffer.toString('latin1', 0, size).trim();
  // RFC 7515 §3.1: three parts in base64url.
  if (!/^[\w-]+(\.[\w-]+){1,2}$/.test(token)) throw new Error(`SALLYPORT_TOKEN_FILE ${file} holds no token`);
  return token;
}

/** @returns how much there was; null when there is no such file */
function read(file: string, into: Buffer): number | null {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return readSync(descriptor, into, 0, into.length, 0);
  } finally {
    closeSync(descriptor);
  }
}
