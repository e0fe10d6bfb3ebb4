import { createPublicKey, createHash, type KeyObject, randomBytes, verify } from 'node:crypto';
import { proxySpiffeId } from '@sallyport/shared/mesh';
import { InvalidCsrError, readCsr } from '@sallyport/shared/pki';
import type { attestRequest, joinRequest, jwtRequest, jwtResponse, reattestRequest, svidRequest, svidResponse } from '@sallyport/shared/push';
import type { Workload } from '@sallyport/shared/resources';
import type { z } from 'zod';
import type { CertificateLedger } from '../history/certificates.ts';
import type { JwtLedger } from '../history/jwt-issuances.ts';
import { enrolPod, enrolProxy, redeemJoinToken } from '../history/proxies.ts';
import type { Database } from '../store/postgres/client.ts';
import type { PodAttestor, PodEvidence } from './attestation.ts';
import type { Authority, IssuedSvid } from './authority.ts';
import { checkClaim, Entitlement } from './entitlement.ts';
import type { JwtIssuer } from './jwt.ts';
import { IssuanceLimit } from './issuance-limit.ts';
import { asRefusal, AttestationError, BusyError, UNAVAILABLE_RETRY_S } from './refusals.ts';

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
  readonly attestation: 'join-token' | 'machine-key' | 'k8s_tokenreview' | 'svid' | 'served-by-proxy' | 'operator';
  /** The pod in which the proxy runs, when it attested by its token. */
  readonly evidence?: PodEvidence | null;
}

/**
 * Issues SVIDs from what was attested, never from what a CSR asks for: a single-use join token enrols a proxy's machine
 * key, and that key renews; or the token of its pod does both; and a proxy gets SVIDs only for workloads that it serves.
 */
export class Issuance {
  readonly #options: IssuanceOptions;
  readonly #now: () => number;
  readonly #entitlement: Entitlement;
  readonly #challenges = new Map<string, { proxy: string; expiresAt: number }>();
  /** Proxies that have an SVID do not queue behind whoever knocks at the join port. */
  readonly #limits: { readonly join: IssuanceLimit; readonly renew: IssuanceLimit; readonly jwt: IssuanceLimit };
  readonly #issued = new Map<string, number>();
  readonly #refused = new Map<string, number>();

  constructor(options: IssuanceOptions) {
    this.#options = options;
    this.#now = options.now;
    this.#entitlement = new Entitlement(options);
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

  /** The SVID of a proxy that proves by its pod's token where it runs. */
  attest(request: z.infer<typeof attestRequest>): Promise<SvidAnswer> {
    return this.#counted(() => this.#attest(request));
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

  /** @throws AttestationError when the token is not good, or not that of the pod that the proxy is named after */
  async #attest({ token, proxy, role, csr }: z.infer<typeof attestRequest>): Promise<SvidAnswer> {
    const { pods, database, trustDomain } = this.#options;
    if (pods === null) throw new AttestationError(404, 'this operator has no Kubernetes to ask about tokens; set SALLYPORT_STORE=kubernetes, or join by a join token');
    await this.#limits.join.admit();
    const key = csrKey(csr);
    const evidence = await pods.review(token);
    checkClaim(evidence, proxy, role, pods);
    await enrolPod(database, proxy, role, evidence, this.#now());
    return this.#issue({ id: proxySpiffeId(trustDomain, proxy), key, proxy, workload: null, attestation: 'k8s_tokenreview', evidence });
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
    if (!proxy?.machineKey || !verify('sha256', text, createPublicKey(proxy.machineKey), Buffer.from(request.signature, 'base64'))) {
      throw new AttestationError(401, 'this proxy is not enrolled with that machine key; join it with a new token');
    }
    const key = csrKey(request.csr);
    return this.#issue({ id: proxySpiffeId(this.#options.trustDomain, request.proxy), key, proxy: request.proxy, workload: null, attestation: 'machine-key' });
  }

  /** @throws AttestationError 403 when the proxy does not serve the workload that it asks for */
  async #renew(proxy: string, request: z.infer<typeof svidRequest>): Promise<SvidAnswer> {
    await this.#limits.renew.admit();
    const enrolled = await this.#entitlement.enrolled(proxy);
    const { evidence } = enrolled;
    const key = csrKey(request.csr);
    if (request.workload === null) {
      return this.#issue({ id: proxySpiffeId(this.#options.trustDomain, proxy), key, proxy, workload: null, attestation: 'svid', evidence });
    }
    const id = this.#entitlement.identityOf(enrolled, request.workload);
    this.#requireCa();
    return this.#issue({ id, key, proxy, workload: request.workload, attestation: 'served-by-proxy', evidence });
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
    const id = this.#entitlement.identityOf(await this.#entitlement.enrolled(proxy), workload);
    this.#requireCa();
    const { token, expiresAt, kid } = this.#options.jwt.sign(id, audience);
    // What cannot be recorded is not handed out.
    await this.#options.jwtLedger.record({ spiffeId: id, audience, kid, proxy, workload, attestation: 'served-by-proxy', now: this.#now(), expiresAt });
    return { token, expiresAt };
  }

  /** @throws BusyError when workloads get their identities elsewhere */
  #requireCa(): void {
    const refusal = this.#options.withheld();
    if (refusal !== null) throw new BusyError(503, refusal, UNAVAILABLE_RETRY_S);
  }

  async #issue(order: Order): Promise<SvidAnswer> {
    const svid = await this.issue(order);
    return { spiffeId: svid.spiffeId, chain: [...svid.chain], bundle: this.#options.authority.roots(), renewAt: svid.renewAt };
  }

  /** Issues and records an SVID for what was attested. @throws IssuanceError when the CA cannot issue now */
  async issue(order: Order): Promise<IssuedSvid> {
    const { authority, ledger, lifetime, ownLifetime } = this.#options;
    const svid = await authority.issueSvid(order.id, order.key, order.attestation === 'operator' ? ownLifetime() : lifetime());
    const spkiHash = createHash('sha256').update(order.key.export({ type: 'spki', format: 'der' })).digest('hex');
    await ledger.record({ svid, spkiHash, proxy: order.proxy, workload: order.workload, attestation: order.attestation, evidence: order.evidence ?? null, now: this.#now() });
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
  /** Asks about tokens of pods; null where there is no Kubernetes. */
  readonly pods: PodAttestor | null;
  readonly lifetime: () => number;
  /** Of the operator's own SVID. */
  readonly ownLifetime: () => number;
  /** Why workloads get no SVID from this CA by configuration; null when they do. */
  readonly withheld: () => string | null;
  /** Signs JWT-SVIDs. */
  readonly jwt: JwtIssuer;
  readonly jwtLedger: JwtLedger;
  readonly now: () => number;
}

function count(counts: Map<string, number>, label: string): void {
  counts.set(label, (counts.get(label) ?? 0) + 1);
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
