import { createPublicKey, createHash, randomBytes, verify } from 'node:crypto';
import { proxySpiffeId, workloadSpiffeId } from '@sallyport/shared/mesh';
import { InvalidCsrError, readCsr } from '@sallyport/shared/pki';
import type { joinRequest, reattestRequest, svidRequest, svidResponse } from '@sallyport/shared/push';
import type { Workload } from '@sallyport/shared/resources';
import type { z } from 'zod';
import { recordCertificate } from '../history/certificates.ts';
import { enrolProxy, redeemJoinToken } from '../history/proxies.ts';
import type { Database } from '../store/postgres/client.ts';
import type { Authority, IssuedSvid } from './authority.ts';

const CHALLENGE_MS = 60_000;
const MAX_CHALLENGES = 10_000;
/** identity-pki.md §5: issuance is limited to 50 a second, with Retry-After. */
const RATE_PER_SECOND = 50;

export type SvidAnswer = z.infer<typeof svidResponse>;

/** A refusal of an identity request. `status` is the HTTP status that carries it. */
class AttestationError extends Error {
  override readonly name = 'AttestationError';
  readonly status: 400 | 401 | 403 | 429;
  constructor(status: 400 | 401 | 403 | 429, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Issues SVIDs from what was attested, never from what a CSR asks for: a single-use join token enrols a proxy's machine
 * key; that key renews; and a proxy gets SVIDs only for workloads that it serves.
 */
export class Issuance {
  readonly #authority: Authority;
  readonly #database: Database;
  readonly #workload: (namespace: string, name: string) => Workload | null;
  readonly #trustDomain: string;
  readonly #lifetime: () => number;
  readonly #now: () => number;
  readonly #challenges = new Map<string, { proxy: string; expiresAt: number }>();
  #tokens = RATE_PER_SECOND;
  #refilled: number;

  constructor(options: {
    authority: Authority;
    database: Database;
    workload: (namespace: string, name: string) => Workload | null;
    trustDomain: string;
    lifetime: () => number;
    now: () => number;
  }) {
    this.#authority = options.authority;
    this.#database = options.database;
    this.#workload = options.workload;
    this.#trustDomain = options.trustDomain;
    this.#lifetime = options.lifetime;
    this.#now = options.now;
    this.#refilled = options.now();
  }

  /** @throws AttestationError when the token is not good for this proxy, or the CSR is not one */
  async join(request: z.infer<typeof joinRequest>): Promise<SvidAnswer> {
    this.#limit();
    checkMachineKey(request.machineKey);
    const key = csrKey(request.csr);
    await this.#database.$transaction(async (transaction) => {
      const good = await redeemJoinToken(transaction, request.token, request.proxy, request.role, this.#now());
      if (!good) throw new AttestationError(401, 'join token is unknown, used, expired or for another proxy; mint a new one');
      await enrolProxy(transaction, request.proxy, request.role, request.machineKey, this.#now());
    });
    return this.#issue({ id: proxySpiffeId(this.#trustDomain, request.proxy), key, proxy: request.proxy, workload: null, attestation: 'join-token' });
  }

  /** A nonce for a proxy that is about to prove its machine key. */
  challenge(proxy: string): { nonce: string; expiresAt: number } {
    const now = this.#now();
    for (const [nonce, challenge] of this.#challenges) {
      if (challenge.expiresAt <= now || this.#challenges.size >= MAX_CHALLENGES) this.#challenges.delete(nonce);
    }
    const nonce = randomBytes(32).toString('base64url');
    const expiresAt = now + CHALLENGE_MS;
    this.#challenges.set(nonce, { proxy, expiresAt });
    return { nonce, expiresAt };
  }

  /** @throws AttestationError when the nonce is not ours or the machine key did not sign it */
  async reattest(request: z.infer<typeof reattestRequest>): Promise<SvidAnswer> {
    this.#limit();
    const challenge = this.#challenges.get(request.nonce);
    this.#challenges.delete(request.nonce);
    if (challenge?.proxy !== request.proxy || challenge.expiresAt <= this.#now()) throw new AttestationError(401, 'nonce is unknown, used or expired');
    const proxy = await this.#database.proxy.findUnique({ where: { name: request.proxy } });
    const text = Buffer.from(`sallyport-reattest:${request.proxy}:${request.nonce}`);
    if (!proxy || !verify('sha256', text, createPublicKey(proxy.machineKey), Buffer.from(request.signature, 'base64'))) {
      throw new AttestationError(401, 'this proxy is not enrolled with that machine key; join it with a new token');
    }
    const key = csrKey(request.csr);
    return this.#issue({ id: proxySpiffeId(this.#trustDomain, request.proxy), key, proxy: request.proxy, workload: null, attestation: 'machine-key' });
  }

  /** @throws AttestationError 403 when the proxy does not serve the workload that it asks for */
  async renew(proxy: string, request: z.infer<typeof svidRequest>): Promise<SvidAnswer> {
    this.#limit();
    const enrolled = await this.#database.proxy.findUnique({ where: { name: proxy }, select: { name: true } });
    if (!enrolled) throw new AttestationError(403, `proxy ${proxy} is no longer enrolled`);
    const key = csrKey(request.csr);
    if (request.workload === null) {
      return this.#issue({ id: proxySpiffeId(this.#trustDomain, proxy), key, proxy, workload: null, attestation: 'svid' });
    }
    const { namespace, name } = request.workload;
    const workload = this.#workload(namespace, name);
    if (workload?.spec.proxy !== proxy) throw new AttestationError(403, `workload ${namespace}/${name} is not served by proxy ${proxy}`);
    const id = workloadSpiffeId(this.#trustDomain, namespace, workload.spec.serviceAccount);
    return this.#issue({ id, key, proxy, workload: request.workload, attestation: 'served-by-proxy' });
  }

  async #issue(order: { id: string; key: ReturnType<typeof csrKey>; proxy: string; workload: { namespace: string; name: string } | null; attestation: string }): Promise<SvidAnswer> {
    const svid: IssuedSvid = this.#authority.issueSvid(order.id, order.key, this.#lifetime());
    const spkiHash = createHash('sha256').update(order.key.export({ type: 'spki', format: 'der' })).digest('hex');
    await recordCertificate(this.#database, { svid, spkiHash, proxy: order.proxy, workload: order.workload, attestation: order.attestation, now: this.#now() });
    return { spiffeId: svid.spiffeId, chain: [...svid.chain], bundle: this.#authority.roots(), renewAt: svid.renewAt };
  }

  /** Token bucket over all requests. */
  #limit(): void {
    const now = this.#now();
    this.#tokens = Math.min(RATE_PER_SECOND, this.#tokens + ((now - this.#refilled) / 1000) * RATE_PER_SECOND);
    this.#refilled = now;
    if (this.#tokens < 1) throw new AttestationError(429, 'too many identity requests at once; retry after a second');
    this.#tokens -= 1;
  }
}

function csrKey(csr: string) {
  try {
    return readCsr(csr);
  } catch (error) {
    if (error instanceof InvalidCsrError) throw new AttestationError(400, `certificate request refused: ${error.message}`);
    throw error;
  }
}

function checkMachineKey(pem: string): void {
  try {
    if (createPublicKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1') return;
  } catch {
    // Falls through to the same refusal.
  }
  throw new AttestationError(400, 'machineKey must be the PEM of an ECDSA P-256 public key');
}
