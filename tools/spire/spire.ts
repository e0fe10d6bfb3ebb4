import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../free-port.ts';
import type { SpirePrograms } from './programs.ts';

const START_MS = 60_000;

/** A SPIRE server with an agent, on loopback and in a folder of their own. */
export class Spire {
  readonly directory = mkdtempSync(join(tmpdir(), 'spire-'));
  readonly bundlePort: number;
  readonly #programs: Extract<SpirePrograms, { server: string }>;
  readonly #trustDomain: string;
  readonly #port: number;
  #server: ChildProcess | null = null;
  #agent: ChildProcess | null = null;

  private constructor(programs: Extract<SpirePrograms, { server: string }>, trustDomain: string, ports: readonly [number, number]) {
    this.#programs = programs;
    this.#trustDomain = trustDomain;
    [this.#port, this.bundlePort] = ports;
  }

  /** Starts the server, with a bundle endpoint of the profile `https_spiffe`. */
  static async start(programs: Extract<SpirePrograms, { server: string }>, trustDomain: string): Promise<Spire> {
    const spire = new Spire(programs, trustDomain, [await freePort(), await freePort()]);
    const { directory, bundlePort } = spire;
    const file = join(directory, 'server.conf');
    writeFileSync(file, `server { bind_address = "127.0.0.1" bind_port = "${spire.#port}" socket_path = "${directory}/api.sock" trust_domain = "${trustDomain}" data_dir = "${directory}"
      federation { bundle_endpoint { address = "127.0.0.1" port = ${bundlePort} profile "https_spiffe" {} } } }
    plugins { DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${directory}/db" } } NodeAttestor "join_token" { plugin_data {} } KeyManager "memory" { plugin_data {} } }`);
    spire.#server = spawn(programs.server, ['run', '-config', file], { stdio: 'ignore' });
    await answering('the SPIRE server', () => spire.server('bundle', 'show'));
    return spire;
  }

  /** Socket of the agent's Workload API. */
  get socket(): string {
    return join(this.directory, 'agent.sock');
  }

  /** An order to the server. @returns what it printed */
  async server(...args: string[]): Promise<string> {
    return (await promisify(execFile)(this.#programs.server, [...args, '-socketPath', join(this.directory, 'api.sock')])).stdout;
  }

  /** Starts the agent: joined by a token at first, by its own SVID when it comes again. */
  async startAgent(): Promise<void> {
    const { directory } = this;
    const [file, bundle] = [join(directory, 'agent.conf'), join(directory, 'bundle.pem')];
    const token = /Token: (\S+)/.exec(await this.server('token', 'generate', '-spiffeID', `spiffe://${this.#trustDomain}/node`))?.[1] ?? '';
    mkdirSync(join(directory, 'agent'), { recursive: true });
    writeFileSync(bundle, await this.server('bundle', 'show'));
    writeFileSync(file, `agent { data_dir = "${directory}/agent" server_address = "127.0.0.1" server_port = "${this.#port}" socket_path = "${this.socket}" trust_bundle_path = "${bundle}" trust_domain = "${this.#trustDomain}" }
    plugins { NodeAttestor "join_token" { plugin_data {} } KeyManager "disk" { plugin_data { directory = "${directory}/agent" } } WorkloadAttestor "unix" { plugin_data {} } }`);
    this.#agent = spawn(this.#programs.agent, ['run', '-config', file, '-joinToken', token], { stdio: 'ignore' });
    await answering('the SPIRE agent', () => promisify(execFile)(this.#programs.agent, ['healthcheck', '-socketPath', this.socket]));
  }

  /** Ends the agent at once, as kill -9 does. */
  async killAgent(): Promise<void> {
    await end(this.#agent, 'SIGKILL');
    this.#agent = null;
  }

  /** An identity for processes of this user. @returns the entry's ID */
  async register(spiffeId: string, ...more: string[]): Promise<string> {
    const made = await this.server('entry', 'create', '-parentID', `spiffe://${this.#trustDomain}/node`, '-spiffeID', spiffeId, '-selector', `unix:uid:${process.getuid?.() ?? 0}`, ...more);
    return /Entry ID\s*: (\S+)/.exec(made)?.[1] ?? '';
  }

  async stop(): Promise<void> {
    await end(this.#agent, 'SIGTERM');
    await end(this.#server, 'SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function end(child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

async function answering(what: string, ask: () => Promise<unknown>): Promise<void> {
  const until = Date.now() + START_MS;
  while (!(await ask().then(() => true, () => false))) {
    if (Date.now() > until) throw new Error(`${what} did not start`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
