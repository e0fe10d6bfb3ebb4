import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TRUST_DOMAIN } from './certificates.ts';
import { type Entries, type TestMesh, until } from './mesh.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const PROBE = fileURLToPath(new URL('soak/probe.ts', import.meta.url));

/** What a proxy's process holds; the heap after a collection. */
export interface Holding {
  readonly rss: number;
  readonly heap: number;
  /** What keeps its event loop busy: sockets, timers, requests. */
  readonly handles: number;
}

/** A proxy as it is run: a process of its own, under a test's operator. */
export class ChildProxy {
  readonly process: ChildProcess;
  readonly name: string;
  output = '';
  readonly #mesh: TestMesh;

  constructor(mesh: TestMesh, name: string) {
    this.#mesh = mesh;
    this.name = name;
    const { joinUrl, streamUrl, stateDir, bootstrapBundleFile, joinTokenFile } = mesh.config(name);
    const tokenFile = joinTokenFile ?? join(mesh.directory, `${name}.token`);
    if (!existsSync(tokenFile)) writeFileSync(tokenFile, `${mesh.operator.token(name)}\n`);
    const env = {
      SALLYPORT_PROXY: name, SALLYPORT_ROLE: 'node', SALLYPORT_TRUST_DOMAIN: TRUST_DOMAIN, SALLYPORT_JOIN_URL: joinUrl.href, SALLYPORT_STREAM_URL: streamUrl.href,
      SALLYPORT_JOIN_TOKEN_FILE: tokenFile, SALLYPORT_BOOTSTRAP_BUNDLE_FILE: bootstrapBundleFile, SALLYPORT_STATE_DIR: stateDir, SALLYPORT_REPORT_INTERVAL: '1s',
    };
    this.process = spawn(process.execPath, ['--expose-gc', '--import', PROBE, MAIN], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.on('data', (chunk: Buffer) => void (this.output = (this.output + chunk.toString()).slice(-200_000)));
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Configures it, and waits until it has accepted that and reports as many SVIDs as it needs. */
  async configure(entries: Entries): Promise<void> {
    const { operator } = this.#mesh;
    const before = operator.acks.length;
    operator.configure(this.name, entries);
    const { ack } = await until(`an answer of ${this.name}`, () => operator.acks.slice(before).find(({ proxy }) => proxy === this.name));
    if (ack.errors.length > 0) throw new Error(`refused: ${JSON.stringify(ack.errors)}`);
  }

  held(): Promise<Holding> {
    return new Promise((resolve, reject) => {
      this.process.once('message', (told) => resolve(told as Holding));
      this.process.send('held', (error) => error && reject(new Error(`the proxy ${this.name} is gone: ${this.output.slice(-2_000)}`)));
    });
  }

  /** Ends it as an orchestrator does; resolves with its exit code. */
  stop(): Promise<number | null> {
    const exited = new Promise<number | null>((resolve) => this.process.once('exit', resolve));
    if (!this.running) return Promise.resolve(this.process.exitCode);
    this.process.kill('SIGTERM');
    return exited;
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }
}
