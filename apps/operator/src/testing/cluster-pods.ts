import { PROXY_CONTAINER, POD_ANNOTATION, REDIRECT_CONTAINER, TOKEN_AUDIENCE } from '@sallyport/shared/push';
import type { KubeClient } from '../kubernetes/client.ts';

/** A pod as a test says it; without an IP it stays as it is before a kubelet has seen it. */
export interface TestPod {
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly node?: string;
  readonly ips?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly protocol?: string }[];
  /** What the injector would have made of it. */
  readonly injected?: boolean;
  readonly hostNetwork?: boolean;
}

/** Objects of a real API server, and, where there is no kubelet, what one would say of pods. */
export class ClusterPods {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  create(path: string, body: object): Promise<unknown> {
    return this.#client.request({ method: 'POST', path, body });
  }

  /** A namespace with service accounts. */
  async namespace(name: string, accounts: readonly string[] = [], labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.create('/api/v1/namespaces', { metadata: { name, labels } });
    for (const account of accounts) await this.create(`/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: account } });
  }

  /** @returns the UID */
  async pod(pod: TestPod): Promise<string> {
    const { namespace, name, serviceAccount, node, labels = {}, ports = [], injected = false, hostNetwork = false } = pod;
    const own = injected ? { initContainers: [{ name: REDIRECT_CONTAINER, image: 'redirect' }, { name: PROXY_CONTAINER, image: 'proxy', restartPolicy: 'Always' }] } : {};
    const body = {
      metadata: { name, labels, annotations: injected ? { [POD_ANNOTATION.injected]: '1' } : {} },
      spec: { serviceAccountName: serviceAccount, hostNetwork, ...(node === undefined ? {} : { nodeName: node }), containers: [{ name: 'app', image: 'app', ports }], ...own },
    };
    const made = (await this.create(`/api/v1/namespaces/${namespace}/pods`, body)) as { metadata: { uid: string } };
    if (pod.ips !== undefined) await this.runs(pod, true);
    return made.metadata.uid;
  }

  /** What a kubelet says of a pod that runs. */
  async runs({ namespace, name, ips = [] }: Pick<TestPod, 'namespace' | 'name' | 'ips'>, ready: boolean): Promise<void> {
    const status = { phase: 'Running', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })), conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] };
    await this.status(namespace, name, status);
  }

  async status(namespace: string, name: string, status: object): Promise<void> {
    await this.#client.request({ method: 'PATCH', path: `/api/v1/namespaces/${namespace}/pods/${name}/status`, body: { status }, contentType: 'application/merge-patch+json' });
  }

  /** At once, as when the kubelet has ended it. */
  async remove(namespace: string, name: string): Promise<void> {
    await this.#client.request({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}/pods/${name}`, query: { gracePeriodSeconds: 0 } });
  }

  /** A token as the kubelet projects it, or with other audiences, or bound to nothing. */
  async token({ namespace, serviceAccount, name }: Pick<TestPod, 'namespace' | 'serviceAccount' | 'name'>, { audiences = [TOKEN_AUDIENCE], bound = true }: { audiences?: readonly string[]; bound?: boolean } = {}): Promise<string> {
    const spec = { audiences, expirationSeconds: 3600, ...(bound ? { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name } } : {}) };
    const made = (await this.create(`/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec })) as { status: { token: string } };
    return made.status.token;
  }
}
