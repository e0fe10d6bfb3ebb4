import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { createCsr } from '@sallyport/shared/pki';
import { durationMs, type Mesh } from '@sallyport/shared/resources';
import { z } from 'zod';
import { digestOf } from '../ca-entries.ts';
import { newKeyPair } from '../key-files.ts';
import { checkChain, splitChain } from './check-chain.ts';
import { type ParentCa, type ParentCertificate, ParentError } from './parent.ts';

type VaultSpec = NonNullable<Mesh['spec']['ca']['vault']>;

const MAX_ANSWER = 1024 * 1024;
const pem = z.string().max(64 * 1024);
const signed = z.object({ data: z.object({ certificate: pem, issuing_ca: pem, ca_chain: z.array(pem).max(8).nullish() }) });
const failure = z.object({ errors: z.array(z.string()) });

/** Vault's PKI engine signs an intermediate for a key that is made here and stays here. */
export class VaultParent implements ParentCa {
  readonly kind = 'vault';
  readonly #spec: VaultSpec;
  readonly #trustDomain: string;

  constructor(spec: VaultSpec, trustDomain: string) {
    this.#spec = spec;
    this.#trustDomain = trustDomain;
  }

  offered(): null {
    return null;
  }

  async obtain(now: number, lifetimeMs: number): Promise<ParentCertificate> {
    const keys = await newKeyPair();
    const { certificate, issuing_ca: issuer, ca_chain: above } = await this.#sign(createCsr(keys), lifetimeMs);
    const chain = [certificate, ...(above && above.length > 0 ? above : [issuer])].flatMap((text) => splitChain(text));
    const result = checkChain([...new Set(chain)], keys.privateKey, this.#trustDomain, now);
    return { parent: 'vault', keys, offer: digestOf(chain), ...result };
  }

  close(): void {
    // Each request has a connection of its own.
  }

  async #sign(csr: string, lifetimeMs: number): Promise<z.infer<typeof signed>['data']> {
    const { address, mount } = this.#spec;
    const url = new URL(`${address}/v1/${mount.replace(/^\/+|\/+$/g, '')}/root/sign-intermediate`);
    if (url.protocol === 'http:' && !isLoopback(url.hostname)) throw new ParentError(`${address} would send the Vault token in plaintext; only loopback may be http`);
    const body = { csr, common_name: `${this.#trustDomain} issuing`, uri_sans: `spiffe://${this.#trustDomain}`, max_path_length: 0, ttl: `${Math.ceil(lifetimeMs / 1000)}s`, format: 'pem' };
    const answer = await this.#post(url, JSON.stringify(body));
    const parsed = signed.safeParse(answer.json);
    if (answer.status === 200 && parsed.success) return parsed.data.data;
    const errors = failure.safeParse(answer.json);
    const reason = errors.success ? errors.data.errors.join('; ').slice(0, 500) : `an answer of another form`;
    throw new ParentError(`Vault at ${address} did not sign (status ${answer.status}): ${reason}; check the token’s policy on ${mount}/root/sign-intermediate`);
  }

  #post(url: URL, body: string): Promise<{ status: number; json: unknown }> {
    const { tokenFile, caFile, namespace, timeout, address } = this.#spec;
    const headers = { 'content-type': 'application/json', 'x-vault-request': 'true', 'x-vault-token': secret(tokenFile), ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }) };
    const ca = caFile === undefined ? {} : { ca: fileText(caFile) };
    const signal = AbortSignal.timeout(durationMs(timeout));
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => reject(new ParentError(`Vault at ${address} cannot be reached: ${signal.aborted ? `no answer within ${timeout}` : error.message}`));
      // No agent: a kept connection would outlive a change of caFile. Redirects are not followed: they could carry the token away.
      const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, { method: 'POST', headers, signal, agent: false, ...ca }, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER) response.destroy(new Error(`the answer is larger than ${MAX_ANSWER} bytes`));
          else chunks.push(chunk);
        });
        response.on('error', failed);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, json: parse(Buffer.concat(chunks)) }));
      });
      request.on('error', failed);
      request.end(body);
    });
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

/** Read at each request, so that an agent may renew the token in its file. */
function secret(file: string): string {
  const token = fileText(file).trim();
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) throw new ParentError(`${file} holds no Vault token`);
  return token;
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ParentError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function isLoopback(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
