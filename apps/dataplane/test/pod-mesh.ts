import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROXY_UID } from '@sallyport/shared/push';
import { TRUST_DOMAIN } from './certificates.ts';
import { type Entries, TestMesh, until } from './mesh.ts';
import { type Pod, PodNetwork } from './pods.ts';

const MAIN = join(import.meta.dirname, '../src/main.ts');
const ADMIN_PORT = 15_000;

/** What a program said so far. */
export interface Said {
  readonly child: ChildProcess;
  text: string;
}

/** An operator in this process, and proxies and applications in pods, each a process of its own. */
export class PodMesh {
  readonly network = new PodNetwork();
  #mesh: TestMesh | null = null;

  static async start(): Promise<PodMesh> {
    const pods = new PodMesh();
    try {
      pods.network.open();
      pods.#mesh = await TestMesh.start(pods.network.host);
      chmodSync(pods.mesh.directory, 0o711);
      return pods;
    } catch (error) {
      await pods.close();
      throw error;
    }
  }

  get mesh(): TestMesh {
    if (!this.#mesh) throw new Error('not started');
    return this.#mesh;
  }

  async close(): Promise<void> {
    await this.network.close();
    await this.#mesh?.close();
  }

  /** Starts the proxy of a pod, as main.ts does, under its own user and by the pod's token. */
  proxy(pod: Pod): Said {
    const { joinUrl, streamUrl, stateDir, bootstrapBundleFile } = this.mesh.config(pod.name);
    const tokenFile = this.#project(pod);
    mkdirSync(stateDir, { mode: 0o700 });
    chownSync(stateDir, PROXY_UID, PROXY_UID);
    const env = {
      SALLYPORT_PROXY: pod.name, SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: TRUST_DOMAIN, SALLYPORT_JOIN_URL: joinUrl.href, SALLYPORT_STREAM_URL: streamUrl.href,
      SALLYPORT_BOOTSTRAP_BUNDLE_FILE: bootstrapBundleFile, SALLYPORT_STATE_DIR: stateDir, SALLYPORT_TOKEN_FILE: tokenFile,
      SALLYPORT_ADMIN_PORT: String(ADMIN_PORT), SALLYPORT_REPORT_INTERVAL: '100ms', SALLYPORT_LOG_LEVEL: 'debug',
    };
    return hear(this.network.startAsProxy(pod, [process.execPath, MAIN], env));
  }

  /** As the kubelet does for a pod whose user is the proxy's. */
  #project(pod: Pod): string {
    const token = `header.${randomBytes(300).toString('base64url')}.signature`;
    this.mesh.operator.podTokens?.set(token, pod.name);
    const file = join(this.mesh.directory, `${pod.name}.pod-token`);
    writeFileSync(file, token, { mode: 0o600 });
    chownSync(file, PROXY_UID, PROXY_UID);
    return file;
  }

  /** Starts Python's own web server on all addresses of a pod, and waits until it listens. */
  webServer(pod: Pod, port: number, directory: string): Promise<Said> {
    return this.#start(pod, ['python3', '-u', '-m', 'http.server', String(port), '--bind', '::', '--directory', directory], 'Serving HTTP');
  }

  /** Starts a program in Python in a pod, and waits until it says `ready`. */
  python(pod: Pod, program: string, ready: string): Promise<Said> {
    return this.#start(pod, ['python3', '-u', '-c', program], ready);
  }

  /** Writes what passes a pod's interface into a file; resolves once it does. @returns the way to stop */
  async capture(pod: Pod, file: string): Promise<() => Promise<void>> {
    const said = await this.#start(pod, ['tcpdump', '-i', 'eth0', '-s', '0', '-U', '-Z', 'root', '-w', file, 'tcp'], 'listening on');
    return async () => {
      const closed = new Promise((resolve) => said.child.once('close', resolve));
      said.child.kill('SIGINT');
      await closed;
    };
  }

  /** Configures a pod's proxy and waits until it took it; `ready` says whether it must then be ready. */
  async configure(pod: Pod, entries: Entries, ready = true): Promise<void> {
    const { operator } = this.mesh;
    const before = operator.acks.length;
    operator.configure(pod.name, entries);
    const answer = await until(`an answer of ${pod.name}`, () => operator.acks.slice(before).find(({ proxy }) => proxy === pod.name));
    if (answer.ack.errors.length > 0) throw new Error(`refused: ${JSON.stringify(answer.ack.errors)}`);
    if (ready) await until(`${pod.name} to be ready`, async () => (await this.admin(pod, 'readyz')) === 'ready\n');
  }

  async admin(pod: Pod, path: 'readyz' | 'metrics'): Promise<string> {
    return (await this.network.run(pod, 'curl', '-s', `http://127.0.0.1:${ADMIN_PORT}/${path}`)).stdout;
  }

  /** Calls by curl, which knows nothing of proxies. Empty when there was no answer. */
  async get(pod: Pod, url: string): Promise<string> {
    const { stdout } = await this.network.run(pod, 'curl', '-s', '-g', '--max-time', '20', url);
    return stdout;
  }

  async #start(pod: Pod, command: readonly string[], ready: string): Promise<Said> {
    const said = hear(this.network.start(pod, command));
    await until(`${command.slice(0, 4).join(' ')} to be ready`, () => said.text.includes(ready));
    return said;
  }
}

function hear(child: ChildProcess): Said {
  const said = { child, text: '' };
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => void (said.text += chunk.toString()));
  return said;
}
