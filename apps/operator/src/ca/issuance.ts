import { createPublicKey, createHash, type KeyObject, randomBytes, verify } from 'node:crypto';
import { proxySpiffeId, workloadSpiffeId } from '@sallyport/shared/mesh';
import { InvalidCsrError, readCsr } from '@sallyport/shared/pki';
import type { joinRequest, jwtRequest, jwtResponse, reattestRequest, svidRequest, svidResponse } from '@sallyport/shared/push';
import type { Workload } from '@sallyport/shared/resources';
import type { z } from 'zod';
import type { CertificateLedger } from '../history/certificates.ts';
import type { JwtLedger } from '../history/jwt-issuances.ts';
import { enrolProxy, redeemJoinToken } from '../history/proxies.ts';
import type { Database } from '../store/postgres/client.ts';
import { type Authority, IssuanceError, type IssuedSvid } from './authority.ts';
import type { JwtIssuer } from './jwt.ts';
import { IssuanceLimit, OverLimitError } from './issuance-limit.ts';

const CHALLENGE_MS = 60_000;
const MAX_CHALLENGES = 10_000;
/** identity-pki.md §5: issuance is limited to 50 a second, with Retry-After. */
const RATE_PER_SECOND = 50;

export type SvidAnswer = z.infer<typeof svidResponse>;

/** What an SVID is issued for, after attestation. */
export interface Order {
  readonly id: string;
  readonly key: KeyObject;
  /** '' for the operator itself. */
  readonly proxy: string;
  readonly workload: { readonly namespace: string; readonly name: string } | null;
  readonly attestation: 'join-token' | 'machine-key' | 'svid' | 'served-by-proxy' | 'operator';
}

/** Why a request got no SVID: the label of the metric. */
export const REFUSALS = ['bad-request', 'not-attested', 'not-entitled', 'rate-limited', 'ca-unavailable', 'not-recorded'] as const;
type Refusal = (typeof REFUSALS)[number];
const STATUS_REASON = { 400: 'bad-request', 401: 'not-attested', 403: 'not-entitled' } as const;

/** A refusal of an identity request. `status` is the HTTP status that carries it. */
class AttestationError extends Error {
  override readonly name = 'AttestationError';
  readonly status: 400 | 401 | 403;
  constructor(status: 400 | 401 | 403, message: string) {
    super(message);
    this.status = status;
  }
}

/** A refusal that a proxy gets with the time after which it may ask again, in seconds. */
class BusyError extends Error {
  override readonly name = 'BusyError';
  readonly status: 429 | 503;
  readonly retryAfter: number;
  constructor(status: 429 | 503, message: string, retryAfter: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No use in asking a CA that cannot issue every second: somebody has to mend it first. */
const UNAVAILABLE_RETRY_S = 30;

/**
 * Issues SVIDs from what was attested, never from what a CSR asks for: a single-use join token enrols a proxy's machine
 * key; that key renews; and a proxy gets SVIDs only for workloads that it serves.
 */
export class Issuance {
  readonly #options: IssuanceOptions;
  readonly #now: () => number;
  readonly #challenges = new Map<string, { proxy: string; expiresAt: number }>();
  /** Proxies that have an SVID do not queue behind whoever knocks at the join port. */
  readonly #limits: { readonly join: IssuanceLimit; readonly renew: IssuanceLimit; readonly jwt: IssuanceLimit };
  readonly #issued = new Map<string, number>();
  readonly #refused = new Map<string, number>();

  constructor(options: IssuanceOptions) {
    this.#options = options;
    this.#now = options.now;
    this.#limits = { join: new IssuanceLimit(RATE_PER_SECOND, options.now), renew: new IssuanceLimit(RATE_PER_SECOND, options.now), jwt: new IssuanceLimit(RATE_PER_SECOND, options.now) };
  }

  /** How many SVIDs were issued by attestation, and refused by reason, since the start. */
  get counts(): { readonly issued: ReadonlyMap<string, number>; readonly refused: ReadonlyMap<string, number> } {
    return { issued: this.#issued, refused: this.#refused };
  }

  /** The keys by which JWT-SVIDs are known, oldest first. */
  get jwtKeys(): string[] {
    return this.#options.jwt.keys.map(({ kid }) => kid);
  }

  join(request: z.infer<typeof joinRequest>): Promise<SvidAnswer> {
    return this.#counted(() => this.#join(request));
  }

  reattest(request: z.infer<typeof reattestRequest>): Promise<SvidAnswer> {
    return this.#counted(() => this.#reattest(request));
  }

  renew(proxy: string, request: z.infer<typeof svidRequest>): Promise<SvidAnswer> {
    return this.#counted(() => this.#renew(proxy, request));
  }

  /** @throws AttestationError when the token is not good for this proxy, or the CSR is not one */
  async #join(request: z.infer<typeof joinRequest>): Promise<SvidAnswer> {
    await this.#limits.join.admit();
    checkMachineKey(request.machineKey);
    const key = csrKey(request.csr);
    await this.#options.database.$transaction(async (transaction) => {
      const good = await redeemJoinToken(transaction, request.token, request.proxy, request.role, this.#now());
      if (!good) throw new AttestationError(401, 'join token is unknown, used, expired or for another proxy; mint a new one');
      await enrolProxy(transaction, request.proxy, request.role, request.machineKey, this.#now());
    });
    return this.#issue({ id: proxySpiffeId(this.#options.trustDomain, request.proxy), key, proxy: request.proxy, workload: null, attestation: 'join-token' });
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
  async #reattest(request: z.infer<typeof reattestRequest>): Promise<SvidAnswer> {
    await this.#limits.join.admit();
    const challenge = this.#challenges.get(request.nonce);
    this.#challenges.delete(request.nonce);
    if (challenge?.proxy !== request.proxy || challenge.expiresAt <= this.#now()) throw new AttestationError(401, 'nonce is unknown, used or expired');
    const proxy = await this.#options.database.proxy.findUnique({ where: { name: request.proxy } });
    const text = Buffer.from(`sallyport-reattest:${request.proxy}:${request.nonce}`);
    if (!proxy || !verify('sha256', text, createPublicKey(proxy.machineKey), Buffer.from(request.signature, 'base64'))) {
      throw new AttestationError(401, 'this proxy is not enrolled with that machine key; join it with a new token');
    }
    const key = csrKey(request.csr);
    return this.#issue({ id: proxySpiffeId(this.#options.trustDomain, request.proxy), key, proxy: request.proxy, workload: null, attestation: 'machine-key' });
  }

  /** @throws AttestationError 403 when the proxy does not serve the workload that it asks for */
  async #renew(proxy: string, request: z.infer<typeof svidRequest>): Promise<SvidAnswer> {
    await this.#limits.renew.admit();
    await this.#requireEnrolled(proxy);
    const key = csrKey(request.csr);
    if (request.workload === null) {
      return this.#issue({ id: proxySpiffeId(this.#options.trustDomain, proxy), key, proxy, workload: null, attestation: 'svid' });
    }
    const id = this.#identityOf(request.workload, proxy);
    return this.#issue({ id, key, proxy, workload: request.workload, attestation: 'served-by-proxy' });
  }

  /**
   * A JWT-SVID for a workload that the proxy serves. A row of the record stands for those of an hour.
   *
   * @throws AttestationError 403 when the proxy does not serve it
   */
  jwtSvid(proxy: string, request: z.infer<typeof jwtRequest>): Promise<z.infer<typeof jwtResponse>> {
    return this.#counted(() => this.#jwtSvid(proxy, request));
  }

  async #jwtSvid(proxy: string, { workload, audience }: z.infer<typeof jwtRequest>): Promise<z.infer<typeof jwtResponse>> {
    await this.#limits.jwt.admit();
    await this.#requireEnrolled(proxy);
    const id = this.#identityOf(workload, proxy);
    const refusal = this.#options.withheld();
    if (refusal !== null) throw new BusyError(503, refusal, UNAVAILABLE_RETRY_S);
    const { token, expiresAt, kid } = this.#options.jwt.sign(id, audience);
    // What cannot be recorded is not handed out.
    await this.#options.jwtLedger.record({ spiffeId: id, audience, kid, proxy, workload, attestation: 'served-by-proxy', now: this.#now(), expiresAt });
    return { token, expiresAt };
  }

  async #requireEnrolled(proxy: string): Promise<void> {
    const enrolled = await this.#options.database.proxy.findUnique({ where: { name: proxy }, select: { name: true } });
    if (!enrolled) throw new AttestationError(403, `proxy ${proxy} is no longer enrolled`);
  }

  #identityOf({ namespace, name }: { readonly namespace: string; readonly name: string }, proxy: string): string {
    const workload = this.#options.workload(namespace, name);
    if (workload?.spec.proxy !== proxy) throw new AttestationError(403, `workload ${namespace}/${name} is not served by proxy ${proxy}`);
    return workloadSpiffeId(this.#options.trustDomain, namespace, workload.spec.serviceAccount);
  }

  async #issue(order: Order): Promise<SvidAnswer> {
    const refusal = this.#options.withheld();
    if (refusal !== null) throw new BusyError(503, refusal, UNAVAILABLE_RETRY_S);
    const svid = await this.issue(order);
    return { spiffeId: svid.spiffeId, chain: [...svid.chain], bundle: this.#options.authority.roots(), renewAt: svid.renewAt };
  }

  /** Issues and records an SVID for what was attested. @throws IssuanceError when the CA cannot issue now */
  async issue(order: Order): Promise<IssuedSvid> {
    const { authority, ledger, lifetime, ownLifetime } = this.#options;
    const svid = await authority.issueSvid(order.id, order.key, order.attestation === 'operator' ? ownLifetime() : lifetime());
    const spkiHash = createHash('sha256').update(order.key.export({ type: 'spki', format: 'der' })).digest('hex');
    await ledger.record({ svid, spkiHash, proxy: order.proxy, workload: order.workload, attestation: order.attestation, now: this.#now() });
    count(this.#issued, order.attestation);
    return svid;
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const known = asRefusal(error);
      count(this.#refused, known.reason);
      throw known.error;
    }
  }
}

interface IssuanceOptions {
  readonly authority: Authority;
  readonly database: Database;
  readonly ledger: CertificateLedger;
  readonly workload: (namespace: string, name: string) => Workload | null;
  readonly trustDomain: string;
  readonly lifetime: () => number;
  /** Of the operator's own SVID. */
  readonly ownLifetime: () => number;
  /** Why proxies get no SVID from this CA by configuration; null when they do. */
  readonly withheld: () => string | null;
  /** Signs JWT-SVIDs. */
  readonly jwt: JwtIssuer;
  readonly jwtLedger: JwtLedger;
  readonly now: () => number;
}

function count(counts: Map<string, number>, label: string): void {
  counts.set(label, (counts.get(label) ?? 0) + 1);
}

/** A failure with its label, in the form that carries its status. */
function asRefusal(error: unknown): { reason: Refusal; error: unknown } {
  if (error instanceof AttestationError) return { reason: STATUS_REASON[error.status], error };
  if (error instanceof OverLimitError) return { reason: 'rate-limited', error: new BusyError(429, error.message, error.retryAfter) };
  if (error instanceof IssuanceError) return { reason: 'ca-unavailable', error: new BusyError(503, `${error.message}; ${error.remedy}`, UNAVAILABLE_RETRY_S) };
  return { reason: error instanceof BusyError ? 'ca-unavailable' : 'not-recorded', error };
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
