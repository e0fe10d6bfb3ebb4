import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';

const READY_MS = 120_000;
const STOP_MS = 10_000;
/** What an API server alone does not do and tests of ours need: namespaces that end, owned objects that go with their owner, and claims that go. */
const CONTROLLERS = ['namespace-controller', 'garbage-collector-controller', 'serviceaccount-controller', 'endpointslice-controller', 'persistentvolumeclaim-protection-controller'];

/** A control plane without nodes: everything of Kubernetes but running pods. */
export interface Cluster {
  readonly url: string;
  /** Certificate that the API server shows, in PEM. */
  readonly ca: string;
  /** Bearer token of a member of system:masters. */
  readonly token: string;
  /** A kubeconfig file with both. */
  readonly kubeconfig: string;
  /** Stops the API server alone, as a crash would, and starts it again on the same port and data. */
  restartApiServer(): Promise<void>;
  stop(): Promise<void>;
}

interface ClusterOptions {
  readonly controllers: boolean;
  /** Has pods use service accounts, which must exist, as a whole cluster does; otherwise they have none. */
  readonly serviceAccounts?: boolean;
}

/**
 * Starts etcd, kube-apiserver and, where there is one, kube-controller-manager on free ports of 127.0.0.1.
 *
 * @param assets a directory with the programs
 * @param directory an empty one, for data, certificates and logs
 * @throws Error with the end of the log of the one that did not come up
 */
export async function startCluster(assets: string, directory: string, options: ClusterOptions = { controllers: false }): Promise<Cluster> {
  const control = new ControlPlane(assets, directory, options);
  try {
    await control.start();
    return control;
  } catch (error) {
    await control.stop();
    throw error;
  }
}

class ControlPlane implements Cluster {
  readonly token = randomBytes(16).toString('hex');
  readonly kubeconfig: string;
  url = '';
  ca = '';
  readonly #assets: string;
  readonly #directory: string;
  readonly #children = new Map<string, ChildProcess>();
  readonly #options: ClusterOptions;
  #apiServer: readonly string[] = [];

  constructor(assets: string, directory: string, options: ClusterOptions) {
    this.#assets = assets;
    this.#options = options;
    this.#directory = directory;
    this.kubeconfig = join(directory, 'kubeconfig');
  }

  async start(): Promise<void> {
    const [client, peer, port] = await Promise.all([freePort(), freePort(), freePort()]);
    this.url = `https://127.0.0.1:${port}`;
    const etcd = `http://127.0.0.1:${client}`;
    this.#run('etcd', ['--data-dir', join(this.#directory, 'etcd'), '--listen-client-urls', etcd, '--advertise-client-urls', etcd, '--listen-peer-urls', `http://127.0.0.1:${peer}`, '--unsafe-no-fsync']);
    this.#apiServer = this.#apiServerArguments(etcd, port);
    await this.#startApiServer();
    writeFileSync(this.kubeconfig, JSON.stringify(this.#kubeconfig()), { mode: 0o600 });
    if (this.#options.controllers) this.#run('kube-controller-manager', ['--kubeconfig', this.kubeconfig, `--controllers=${CONTROLLERS.join(',')}`, '--leader-elect=false', '--secure-port=0', '--concurrent-namespace-syncs=4']);
  }

  async restartApiServer(): Promise<void> {
    await this.#end('kube-apiserver', 'SIGKILL');
    await this.#startApiServer();
  }

  async stop(): Promise<void> {
    for (const name of ['kube-controller-manager', 'kube-apiserver', 'etcd']) await this.#end(name, 'SIGTERM');
  }

  async #startApiServer(): Promise<void> {
    this.#run('kube-apiserver', this.#apiServer);
    const end = Date.now() + READY_MS;
    while (!(await this.#ready())) {
      const child = this.#children.get('kube-apiserver');
      if (child?.exitCode !== null || Date.now() > end) throw new Error(`kube-apiserver did not come up:\n${this.#log('kube-apiserver').slice(-3000)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #apiServerArguments(etcd: string, port: number): string[] {
    const certs = join(this.#directory, 'certs');
    mkdirSync(certs, { recursive: true });
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signing = join(certs, 'service-accounts.key');
    const verifying = join(certs, 'service-accounts.pub');
    writeFileSync(signing, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(verifying, publicKey.export({ type: 'spki', format: 'pem' }));
    const tokens = join(certs, 'tokens.csv');
    writeFileSync(tokens, `${this.token},admin,admin,"system:masters"\n`, { mode: 0o600 });
    return [
      `--etcd-servers=${etcd}`, '--bind-address=127.0.0.1', '--endpoint-reconciler-type=none', `--secure-port=${port}`, `--cert-dir=${certs}`, `--token-auth-file=${tokens}`,
      '--authorization-mode=RBAC', '--allow-privileged=true', '--service-cluster-ip-range=10.0.0.0/24',
      `--service-account-issuer=${this.url}/`, `--service-account-key-file=${verifying}`, `--service-account-signing-key-file=${signing}`,
      // Nobody makes the default accounts' objects before a pod here as a kubelet's cluster would have them.
      ...(this.#options.serviceAccounts === true ? [] : ['--disable-admission-plugins=ServiceAccount']),
    ];
  }

  async #ready(): Promise<boolean> {
    try {
      this.ca = readFileSync(join(this.#directory, 'certs', 'apiserver.crt'), 'utf8');
    } catch {
      return false;
    }
    return await new Promise((resolve) => {
      const request = https.get(`${this.url}/readyz`, { ca: this.ca, headers: { authorization: `Bearer ${this.token}` }, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      request.on('error', () => resolve(false));
    });
  }

  #kubeconfig(): object {
    const cluster = { server: this.url, 'certificate-authority-data': Buffer.from(this.ca).toString('base64') };
    return {
      apiVersion: 'v1', kind: 'Config', 'current-context': 'test',
      clusters: [{ name: 'test', cluster }], users: [{ name: 'admin', user: { token: this.token } }], contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    };
  }

  #run(name: string, args: readonly string[]): void {
    const log = openSync(join(this.#directory, `${name}.log`), 'a');
    this.#children.set(name, spawn(join(this.#assets, name), args, { stdio: ['ignore', log, log] }));
    closeSync(log);
  }

  #log(name: string): string {
    return readFileSync(join(this.#directory, `${name}.log`), 'utf8');
  }

  async #end(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#children.get(name);
    this.#children.delete(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
}
