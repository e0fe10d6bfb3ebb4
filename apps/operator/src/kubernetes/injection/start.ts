import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { placeholderIdentity } from '../../ca/operator-identity.ts';
import type { Config } from '../../config.ts';
import { repeat } from '../../schedule.ts';
import type { KubeClient } from '../client.ts';
import { connectCluster } from '../connect.ts';
import { CaSecret } from './ca-secret.ts';
import type { InjectionConfig } from './config.ts';
import { answerReview, type Answered } from './review.ts';
import { startWebhookServer, type WebhookServer } from './server.ts';
import { issueServing, signing, WEBHOOK_CA_POLICY, type WebhookAuthority, type WebhookCaPolicy } from './webhook-ca.ts';
import { keepCaBundle } from './webhook-configuration.ts';

const CHECK_MS = 5_000;
const VERSION = '0.1.0';
/** Namespaces whose pods must start without us. */
const SYSTEM = ['kube-system', 'kube-public', 'kube-node-lease'];
/** KEP-753: on by default from 1.29 on. */
const NATIVE_SINCE = { major: 1, minor: 29 };
const serverVersion = z.looseObject({ major: z.string().regex(/^\d+/), minor: z.string().regex(/^\d+/) });

export interface InjectionOptions {
  readonly client: KubeClient;
  readonly config: InjectionConfig;
  /** Our own namespace. */
  readonly namespace: string;
  readonly trustDomain: string;
  readonly host: string;
  readonly port: number;
  /** The operator's present roots in PEM. */
  readonly roots: () => readonly string[];
  readonly now: () => number;
  readonly log: Logger;
  readonly policy?: WebhookCaPolicy;
  readonly checkMs?: number;
  /** Names by which the API server finds us beside the Service's. */
  readonly names?: readonly string[];
}

/** The running injector. */
export interface Injection {
  readonly port: number;
  /** Why no API server can trust this webhook; empty when it can. */
  unready(): string[];
  close(): Promise<void>;
}

/**
 * Serves the webhook that gives pods their proxies, with a certificate of a CA of its own, and keeps the API server trusting
 * that. Every replica does so: the CA is in a Secret that they share, each has a certificate of its own.
 *
 * @throws Error when the port is taken
 */
export async function startInjection(options: InjectionOptions): Promise<Injection> {
  const { log, now, host, port, checkMs = CHECK_MS } = options;
  const injector = new Injector(options);
  // Nobody trusts it: until there is a real one, reviews fail as if we were not there.
  const { identity } = await placeholderIdentity(now());
  const server = await startWebhookServer({ host, port, pair: identity, answer: (review) => injector.answer(review), log });
  // Whoever sees this replica as ready finds a webhook that is trusted, if that can be.
  await injector.tick(server).catch((error: unknown) => log.warn({ error: error instanceof Error ? error.message : 'unknown' }, 'injector not ready yet; it tries again'));
  const stop = repeat('injector', checkMs, () => injector.tick(server), log);
  log.info({ port: server.port }, 'injector serves');
  return {
    port: server.port,
    unready: () => injector.unready(),
    async close() {
      await stop();
      await server.close();
    },
  };
}

/** The injector of this process, or none. */
export type OpenInjection = Omit<Injection, 'port'>;

/**
 * The injector of this replica: none without Kubernetes, or without an image of the proxy. It does not wait for this replica to
 * lead, so it takes the operator's roots from the file beside the CA's keys, which the leader keeps.
 */
export async function openInjection({ kubernetes, trustDomain, host, stateDir }: Config, log: Logger): Promise<OpenInjection> {
  const none = { unready: () => [], close: () => Promise.resolve() };
  if (kubernetes === null) return none;
  const { kubeconfig, namespace, webhookPort: port, injection: config } = kubernetes;
  const roots = () => rootsIn(join(stateDir, 'bundle.pem'));
  if (config !== null) return await startInjection({ client: connectCluster(kubeconfig), config, namespace, trustDomain, host, port, roots, now: Date.now, log });
  log.warn('SALLYPORT_PROXY_IMAGE is not set: no pod gets a proxy');
  return none;
}

function rootsIn(file: string): string[] {
  return existsSync(file) ? (readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []) : [];
}

class Injector {
  readonly #options: InjectionOptions;
  readonly #policy: WebhookCaPolicy;
  readonly #secret: CaSecret;
  readonly #names: readonly string[];
  #native: boolean | null = null;
  #serving: { readonly authority: string; readonly renewAt: number; readonly notAfter: number } | null = null;
  #trouble = 'the webhook has no certificate yet';

  constructor(options: InjectionOptions) {
    const { client, namespace, config, names = [], policy = WEBHOOK_CA_POLICY } = options;
    this.#options = options;
    this.#policy = policy;
    this.#secret = new CaSecret(client, namespace, config.secret, policy);
    this.#names = [`${config.service}.${namespace}.svc`, `${config.service}.${namespace}.svc.cluster.local`, ...names];
  }

  unready(): string[] {
    return this.#serving !== null && this.#options.now() < this.#serving.notAfter ? [] : [this.#trouble];
  }

  /** @throws ReviewError for what is no review; Error while it is not known what proxies of this cluster get */
  answer(review: unknown): Answered {
    const { config, trustDomain, roots, namespace } = this.#options;
    const known = roots();
    if (this.#native === null) throw new Error('the version of the API server is not known yet');
    if (known.length === 0) throw new Error('the CA has no root yet, so that proxies could not know the operator');
    const { image, redirectImage, redirect, resources, joinUrl, streamUrl } = config;
    return answerReview(review, { version: VERSION, image, redirectImage, redirect, resources, joinUrl, streamUrl, trustDomain, native: this.#native, roots: known }, [namespace, ...SYSTEM]);
  }

  /** Does what is due: CA, bundle, certificate, in this order, so that nothing signs that the API server does not trust. */
  async tick(server: WebhookServer): Promise<void> {
    try {
      const { client, config, now, log } = this.#options;
      this.#native = await hasNativeSidecars(client);
      const authorities = await this.#secret.read(now());
      const changed = await keepCaBundle(client, config.webhookName, authorities.map(({ certificate }) => certificate));
      if (changed) log.info({ authorities: authorities.length }, 'the API server was told whom to trust as the injector');
      await this.#renew(authorities, server);
    } catch (error) {
      this.#trouble = `injector: ${error instanceof Error ? error.message : 'unknown'}`;
      throw error;
    }
  }

  async #renew(authorities: readonly WebhookAuthority[], server: WebhookServer): Promise<void> {
    const { now, log } = this.#options;
    const authority = signing(authorities, now(), this.#policy);
    if (!authority) throw new Error('the webhook has no CA');
    if (this.#serving?.authority === authority.certificate && now() < this.#serving.renewAt) return;
    const { pair, ...times } = await issueServing(authority, this.#names, now(), this.#policy);
    server.renew(pair);
    this.#serving = { authority: authority.certificate, ...times };
    log.info({ renewAt: new Date(times.renewAt).toISOString() }, 'injector has a new certificate');
  }
}

/** `/version`: asked each time, because clusters are upgraded under a running operator. Some write `29+`. */
async function hasNativeSidecars(client: KubeClient): Promise<boolean> {
  const { major, minor } = serverVersion.parse(await client.request({ method: 'GET', path: '/version' }));
  const [one, two] = [Number.parseInt(major, 10), Number.parseInt(minor, 10)];
  return one > NATIVE_SINCE.major || (one === NATIVE_SINCE.major && two >= NATIVE_SINCE.minor);
}
