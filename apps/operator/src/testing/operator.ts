import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PASSWORD = 'correct horse battery staple';

/** A real operator process on a database of its own. */
export interface TestOperator {
  readonly apiUrl: string;
  readonly joinUrl: string;
  readonly streamUrl: string;
  /** Null unless `SALLYPORT_BUNDLE_PORT` is given. */
  readonly bundleUrl: string | null;
  readonly stateDir: string;
  readonly databaseUrl: string;
  readonly password: string;
  /** Calls the API as the administrator. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<{ status: number; body: never }>;
  /** Sends the process a signal, such as SIGSTOP: what a sleep is to it. */
  signal(name: NodeJS.Signals): void;
  /** Kills the process and starts it again on the same state and ports. */
  restart(): Promise<void>;
  /** Kills the process, does something to what it left, and starts it again. */
  stopped(meanwhile: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

interface Ready {
  readonly api: number;
  readonly join: number;
  readonly stream: number;
  readonly bundle: number | null;
}

async function spawnOperator(environment: Record<string, string>) {
  const main = new URL('../main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], { env: { ...environment, PATH: process.env['PATH'] ?? '' }, stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  for await (const line of createInterface(child.stdout)) {
    const entry = JSON.parse(line) as { msg: string } & Ready;
    if (entry.msg === 'operator ready') {
      child.stdout.resume();
      return { child, ports: entry };
    }
  }
  throw new Error(`operator ended before it was ready: ${errors}`);
}

interface OperatorOptions {
  /** Variables beside or instead of the usual ones. */
  readonly environment?: Readonly<Record<string, string>>;
  /** An empty database; absent: one on the test run's PostgreSQL. */
  readonly databaseUrl?: string;
  /** Puts something into its state directory first. */
  readonly prepare?: (stateDir: string) => Promise<void>;
  /** A state directory that is shared with another replica; absent: one of its own, removed at the end. */
  readonly stateDir?: string;
  /** Ports to listen on; absent: any free ones. */
  readonly ports?: Omit<Ready, 'bundle'>;
}

function portVariables({ api, join: joining, stream }: Omit<Ready, 'bundle'>): Record<string, string> {
  return { SALLYPORT_API_PORT: String(api), SALLYPORT_JOIN_PORT: String(joining), SALLYPORT_STREAM_PORT: String(stream) };
}

/** Starts an operator and signs in. */
export async function startOperator({ environment, databaseUrl: given, prepare, stateDir: shared, ports: wanted = { api: 0, join: 0, stream: 0 } }: OperatorOptions = {}): Promise<TestOperator> {
  // Vitest refuses to be imported outside of its run, where soaks use this too.
  const databaseUrl = given ?? (await (await import('./database.ts')).createTestDatabase());
  const stateDir = shared ?? (await mkdtemp(join(tmpdir(), 'operator-')));
  await prepare?.(stateDir);
  const base = { DATABASE_URL: databaseUrl, SALLYPORT_STATE_DIR: stateDir, SALLYPORT_ADMIN_PASSWORD: PASSWORD, SALLYPORT_TRUST_DOMAIN: 'shop.test', ...environment };
  let { child, ports } = await spawnOperator({ ...base, ...portVariables(wanted) });
  const fixed = portVariables(ports);
  const apiUrl = `http://127.0.0.1:${ports.api}`;
  let token = '';
  const call: TestOperator['call'] = async (method, path, body, headers = {}) => {
    const init = { method, headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(`${apiUrl}/api/v1${path}`, init);
    const text = await response.text();
    return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as never };
  };
  const session = await call('POST', '/session?token=true', { username: 'admin', password: PASSWORD });
  token = (session.body as { token: string }).token;
  const stopped = async (meanwhile: () => Promise<void>) => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await meanwhile();
    ({ child, ports } = await spawnOperator({ ...base, ...fixed }));
  };
  return {
    apiUrl, stateDir, databaseUrl, call,
    joinUrl: `https://127.0.0.1:${ports.join}`,
    streamUrl: `https://127.0.0.1:${ports.stream}`,
    bundleUrl: ports.bundle === null ? null : `https://127.0.0.1:${ports.bundle}/`,
    password: PASSWORD,
    signal: (name) => void child.kill(name),
    restart: () => stopped(async () => undefined),
    stopped,
    async close() {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      if (shared === undefined) await rm(stateDir, { recursive: true, force: true });
    },
  };
}
