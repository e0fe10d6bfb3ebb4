import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { inject } from 'vitest';
import { parseAllDocuments } from 'yaml';
import '../../testing/provided.ts';
import { startOwnCluster } from '../../testing/own-cluster.ts';
import { KubeError } from '../client.ts';
import { connectCluster } from '../connect.ts';
import { settings } from './injection.fixture.ts';
import { type Injection, type InjectionOptions, startInjection } from './start.ts';

const CHART = join(import.meta.dirname, '../../../../../charts/sallyport');
const TEMPLATES = ['injection-webhook', 'injection-policies'];
export const SYSTEM = 'sallyport-system';
export const CONFIGURATION = 'sallyport-injector';
export const ENABLED = 'sallyport.dev/injection=enabled';
/** An injector that looks after its certificates as often as a test wants. */
const CHECK_MS = 100;

interface KubeObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly webhooks?: { clientConfig: object }[];
}

/** A real control plane with what the chart installs for injection, and an injector in this process. */
export class InjectedCluster {
  readonly #cluster: Awaited<ReturnType<typeof startOwnCluster>>;
  readonly client;
  readonly kubeconfig: string;
  injection: Injection;
  #more: Partial<InjectionOptions>;

  private constructor(cluster: Awaited<ReturnType<typeof startOwnCluster>>, injection: Injection, more: Partial<InjectionOptions>) {
    this.#cluster = cluster;
    this.kubeconfig = cluster.kubeconfig;
    this.client = connectCluster(cluster.kubeconfig);
    this.injection = injection;
    this.#more = more;
  }

  static async start(more: Partial<InjectionOptions> = {}): Promise<InjectedCluster> {
    const cluster = await startOwnCluster({ serviceAccounts: true });
    await cluster.kubectl(['create', 'namespace', SYSTEM]);
    const injection = await startInjection(optionsOf(cluster.kubeconfig, more));
    const injected = new InjectedCluster(cluster, injection, more);
    await injected.install();
    return injected;
  }

  /** Applies what `helm install` would, with the webhook where this test serves it: no kubelet runs the chart's pods here. */
  async install(): Promise<void> {
    const url = `https://localhost:${this.injection.port}/inject`;
    for (const object of await rendered()) {
      const webhooks = object.webhooks?.map((webhook) => ({ ...webhook, clientConfig: { url } }));
      await this.kubectl(['apply', '--server-side', '--field-manager=helm', '-f', '-'], { ...object, ...(webhooks ? { webhooks } : {}) });
    }
  }

  /** Makes a namespace, with the account that a controller would make in it. */
  async namespace(name: string, ...labels: string[]): Promise<void> {
    if (name !== SYSTEM && name !== 'kube-system') await this.kubectl(['create', 'namespace', name]);
    await this.kubectl(['create', 'serviceaccount', '-n', name, 'default']);
    if (labels.length > 0) await this.kubectl(['label', 'namespace', name, ...labels]);
  }

  kubectl(args: readonly string[], input?: unknown): Promise<string> {
    return this.#cluster.kubectl(args, input);
  }

  /** What kubectl says on standard error when it is refused; '' when it is not. */
  async refusal(args: readonly string[], input?: unknown): Promise<string> {
    return await this.kubectl(args, input).then(() => '', (error: unknown) => String((error as { stderr?: string }).stderr));
  }

  /** Creates a pod. @throws KubeError, the API server's refusal */
  async create<T>(namespace: string, pod: object, query: Record<string, string> = {}): Promise<T> {
    return (await this.client.request({ method: 'POST', path: `/api/v1/namespaces/${namespace}/pods`, query, body: { apiVersion: 'v1', kind: 'Pod', ...pod } })) as T;
  }

  /** Why a pod may not be created; null when it may. Nothing is stored. */
  async whyNot(namespace: string, pod: object): Promise<string | null> {
    return await this.create(namespace, pod, { dryRun: 'All' }).then(() => null, (error: unknown) => {
      if (error instanceof KubeError) return error.message;
      throw error;
    });
  }

  /** Starts the injector again on its port, as a restarted replica does. */
  async restart(): Promise<void> {
    this.injection = await startInjection(optionsOf(this.#cluster.kubeconfig, { ...this.#more, port: this.injection.port }));
  }

  async stop(): Promise<void> {
    await this.injection.close();
    await this.#cluster.stop();
  }
}

function optionsOf(kubeconfig: string, more: Partial<InjectionOptions>): InjectionOptions {
  const { image, redirectImage, redirect, resources, joinUrl, streamUrl, trustDomain, roots } = settings;
  const config = { image, redirectImage, redirect, resources, joinUrl, streamUrl, webhookName: CONFIGURATION, service: 'sallyport-operator', secret: 'sallyport-webhook-ca' };
  return {
    client: connectCluster(kubeconfig), config, namespace: SYSTEM, trustDomain, host: '127.0.0.1', port: 0, roots: () => roots, now: Date.now,
    log: pino({ level: 'silent' }), checkMs: CHECK_MS, names: ['localhost'], ...more,
  };
}

async function rendered(): Promise<KubeObject[]> {
  const args = ['template', 'sallyport', CHART, '--namespace', SYSTEM, '--values', join(CHART, 'ci/minimal-values.yaml'), ...TEMPLATES.flatMap((name) => ['--show-only', `templates/${name}.yaml`])];
  const { stdout } = await promisify(execFile)(join(inject('kubeAssets'), 'helm'), args);
  return parseAllDocuments(stdout).flatMap((document) => (document.toJS() === null ? [] : [document.toJS() as KubeObject]));
}
