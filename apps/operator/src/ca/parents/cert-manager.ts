import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createCsr } from '@sallyport/shared/pki';
import type { Mesh } from '@sallyport/shared/resources';
import { z } from 'zod';
import { type KubeClient, KubeError, type KubeRequest } from '../../kubernetes/client.ts';
import { digestOf } from '../ca-entries.ts';
import { type KeyPair, newKeyPair } from '../key-files.ts';
import { checkChain, splitChain } from './check-chain.ts';
import { type ParentCa, type ParentCertificate, ParentError } from './parent.ts';

/** The way to the API server. */
export type Cluster = () => Pick<KubeClient, 'request'>;
type CertManagerSpec = NonNullable<Mesh['spec']['ca']['certManager']>;

/** So long an answer is waited for at once; most issuers take less. After that it is looked for again. */
const WAIT_MS = 2_000;
const POLL_MS = 200;
const LABEL = 'sallyport.dev/certificate-authority';

const pem64 = z.string().max(256 * 1024);
const condition = z.object({ type: z.string(), status: z.string(), reason: z.string().default(''), message: z.string().default('') });
const certificateRequest = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({ issuerRef: z.object({ name: z.string(), kind: z.string().default('Issuer'), group: z.string().default('cert-manager.io') }) }),
  status: z.object({ conditions: z.array(condition).default([]), certificate: pem64.optional(), ca: pem64.optional() }).default({ conditions: [] }),
});
type CertificateRequest = z.infer<typeof certificateRequest>;

/** A request that is under way. Without keys it is one of an earlier run, which is here only because it was denied. */
interface Open {
  readonly name: string;
  readonly keys: KeyPair | null;
}

/**
 * cert-manager signs an intermediate for a key that is made here and stays here: one CertificateRequest at a time
 * (cert-manager.io/v1), of which the last one stays in its namespace until the next. Approval is the approver's: a request
 * waits for it as long as it takes, and a denied one is not made again before somebody deletes it.
 */
export class CertManagerParent implements ParentCa {
  readonly kind = 'certManager';
  readonly #spec: CertManagerSpec;
  readonly #trustDomain: string;
  readonly #cluster: Cluster;
  readonly #path: string;
  #open: Open | null = null;

  constructor(spec: CertManagerSpec, trustDomain: string, cluster: Cluster) {
    this.#spec = spec;
    this.#trustDomain = trustDomain;
    this.#cluster = cluster;
    this.#path = `/apis/cert-manager.io/v1/namespaces/${spec.namespace}/certificaterequests`;
  }

  offered(): null {
    return null;
  }

  async obtain(now: number, lifetimeMs: number): Promise<ParentCertificate> {
    try {
      this.#open ??= await this.#ask(lifetimeMs);
      return this.#take(this.#open, await this.#answer(this.#open.name), now);
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      throw new ParentError(`the API server does not let us use CertificateRequests of namespace ${this.#spec.namespace}: ${error.message}; check that cert-manager is installed and that the operator may get, list, create and delete them`);
    }
  }

  close(): void {
    // Each request has a connection of its own.
  }

  /** Clears away what is left of earlier requests and makes the next one, unless somebody said no to us. */
  async #ask(lifetimeMs: number): Promise<Open> {
    const mark = createHash('sha256').update(this.#trustDomain).digest('hex').slice(0, 16);
    const { items } = z.object({ items: z.array(certificateRequest) }).parse(await this.#request({ method: 'GET', path: this.#path, query: { labelSelector: `${LABEL}=${mark}` } }));
    const denied = items.find((each) => conditionOf(each, 'Denied') && this.#isOurs(each));
    if (denied) return { name: denied.metadata.name, keys: null };
    for (const { metadata } of items) await this.#remove(metadata.name);
    const keys = await newKeyPair();
    const request = createCsr(keys, `${this.#trustDomain} issuing`);
    const name = `sallyport-ca-${createHash('sha256').update(request).digest('hex').slice(0, 16)}`;
    const spec = { request: Buffer.from(request).toString('base64'), isCA: true, usages: ['cert sign', 'crl sign'], duration: `${Math.ceil(lifetimeMs / 1000)}s`, issuerRef: this.#spec.issuerRef };
    const body = { apiVersion: 'cert-manager.io/v1', kind: 'CertificateRequest', metadata: { name, labels: { [LABEL]: mark } }, spec };
    await this.#request({ method: 'POST', path: this.#path, body });
    return { name, keys };
  }

  async #request(request: KubeRequest): Promise<unknown> {
    let client: Pick<KubeClient, 'request'>;
    try {
      client = this.#cluster();
    } catch (error) {
      throw new ParentError(`there is no way to the API server: ${error instanceof Error ? error.message : 'unknown'}`);
    }
    return await client.request(request);
  }

  #isOurs({ spec: { issuerRef } }: CertificateRequest): boolean {
    const { name, kind, group } = this.#spec.issuerRef;
    return issuerRef.name === name && issuerRef.kind === kind && issuerRef.group === group;
  }

  async #remove(name: string): Promise<void> {
    await this.#request({ method: 'DELETE', path: `${this.#path}/${name}` }).catch(ignoreAbsence);
  }

  /** The request as it is answered, or as it is after a while. Null when it is gone. */
  async #answer(name: string): Promise<CertificateRequest | null> {
    for (let waited = 0; ; waited += POLL_MS) {
      const found = await this.#request({ method: 'GET', path: `${this.#path}/${name}` }).catch(ignoreAbsence);
      const request = found === null ? null : certificateRequest.parse(found);
      if (request === null || isFinal(request) || waited >= WAIT_MS) return request;
      await delay(POLL_MS);
    }
  }

  /** Whether one goes on waiting or asks anew is told by {@link #open}: what is final, but for a denial, is forgotten. */
  #take({ name, keys }: Open, request: CertificateRequest | null, now: number): ParentCertificate {
    const place = `CertificateRequest ${this.#spec.namespace}/${name}`;
    const denied = request && conditionOf(request, 'Denied');
    if (denied) throw new ParentError(`${place} was denied: ${textOf(denied)}; delete it to have another made`, true);
    if (request && !isFinal(request)) throw new ParentError(`${place} ${waitsFor(request)}`, true);
    this.#open = null;
    if (!request || !keys) throw new ParentError(`${place} is gone without an answer; another one is made`, true);
    const refusal = conditionOf(request, 'InvalidRequest') ?? failureOf(request);
    if (refusal) throw new ParentError(`${place} failed: ${textOf(refusal)}; look at it and at the issuer ${this.#spec.issuerRef.name}`);
    try {
      const chain = splitChain(decoded(request.status.certificate) + decoded(request.status.ca));
      return { parent: 'certManager', keys, offer: digestOf(chain), ...checkChain([...new Set(chain)], keys.privateKey, this.#trustDomain, now) };
    } catch (error) {
      if (error instanceof ParentError) throw new ParentError(`${place}: ${error.message}`);
      throw error;
    }
  }
}

type Condition = z.infer<typeof condition>;

function conditionOf(request: CertificateRequest, type: string): Condition | undefined {
  return request.status.conditions.find((each) => each.type === type && each.status === 'True');
}

/** Ready=False with reason Failed or Denied is final; with Pending it is not. */
function failureOf(request: CertificateRequest): Condition | undefined {
  return request.status.conditions.find(({ type, status, reason }) => type === 'Ready' && status === 'False' && (reason === 'Failed' || reason === 'Denied'));
}

function isFinal(request: CertificateRequest): boolean {
  return ['Denied', 'InvalidRequest', 'Ready'].some((type) => conditionOf(request, type)) || failureOf(request) !== undefined;
}

function waitsFor(request: CertificateRequest): string {
  if (!conditionOf(request, 'Approved')) return 'waits for its approval (cmctl approve, or an approver for its issuer)';
  const ready = request.status.conditions.find(({ type }) => type === 'Ready');
  return `is approved and not signed yet${ready ? `: ${textOf(ready)}` : ''}`;
}

function textOf({ reason, message }: Condition): string {
  return [reason, message].filter((text) => text !== '').join(': ').slice(0, 500);
}

function decoded(base64: string | undefined): string {
  return base64 === undefined ? '' : `${Buffer.from(base64, 'base64').toString('latin1').trim()}\n`;
}

function ignoreAbsence(error: unknown): null {
  if (error instanceof KubeError && error.status === 404) return null;
  throw error;
}
