import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCluster, type Cluster, runningPostmaster } from './postgres-cluster.ts';
import { startTether } from './tether.ts';

export interface PostgresOptions {
  /** Home of this server: cluster, password file and, where needed, a copy of the binaries. Made if absent. */
  readonly dataDir: string;
  /** The exact port to use; absent: any free one. */
  readonly port?: number;
  /** Takes each line of the server's log. */
  readonly log?: (line: string) => void;
}

export interface Postgres {
  /** `postgres://` address of database `sallyport` with its superuser's password: a secret. */
  readonly url: string;
  readonly pid: number;
  readonly port: number;
  /** Settles when the server has ended for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends the server (fast shutdown: open transactions are rolled back) and returns when it is gone. */
  stop(): Promise<void>;
}

const READY_MS = 60_000;
const STOP_STEPS = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 5_000],
  ['SIGKILL', 5_000],
] as const;

/** Raised when PostgreSQL cannot be made or started; the message holds its last lines and the remedy. */
class PostgresError extends Error {
  override readonly name = 'PostgresError';
}

/**
 * Starts the bundled PostgreSQL on 127.0.0.1 alone, creating its cluster on first use and recovering one that was
 * killed. The server ends with this process, even when this process is killed.
 *
 * @throws PostgresError with the server's own words and the remedy
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const log = options.log ?? (() => undefined);
  const cluster = await createCluster(options.dataDir, log);
  await waitForPrevious(cluster);
  const attempts = options.port === undefined ? 5 : 20;
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const result = await launch(cluster, port, log);
    if (typeof result !== 'string') return result;
    // Backends of a killed server hold its shared memory for a moment; a free port may be taken by somebody else.
    if (attempt >= attempts || !/shared memory|Address already in use|could not bind/.test(result)) {
      throw new PostgresError(explain(cluster, port, result));
    }
    await sleep(250);
  }
}

function explain(cluster: Cluster, port: number, output: string): string {
  const remedy = /Address already in use|could not bind/.test(output)
    ? `port ${port} of 127.0.0.1 is taken by another process; end that process or give another port`
    : `read the lines above; if the data is not needed, delete ${cluster.home} and start again`;
  return `PostgreSQL did not start from ${cluster.data}:\n${output.trim()}\nRemedy: ${remedy}`;
}

/** A server of a previous run that is still ending gets time to; one that stays is somebody's, and is not ended here. */
async function waitForPrevious(cluster: Cluster): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) {
    const pid = runningPostmaster(cluster);
    if (pid === null) return;
    if (turn === 59) {
      throw new PostgresError(
        `PostgreSQL already runs on ${cluster.data} as process ${pid}. Remedy: stop the demo that uses it (npm run demo:stop), or run "kill -INT ${pid}"`,
      );
    }
    await sleep(250);
  }
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  max_connections: '40',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  lc_messages: 'C',
  log_checkpoints: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
} as const;

/** One try: the running server, or its output when it ended before it was ready. */
async function launch(cluster: Cluster, port: number, log: (line: string) => void): Promise<Postgres | string> {
  const settings = Object.entries(SETTINGS).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const child = spawn(cluster.binaries.postgres, ['-D', cluster.data, '-p', String(port), ...settings], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: cluster.home,
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
    // A session of its own: Ctrl-C at the terminal must not end the database before those who write to it.
    detached: true,
    ...cluster.user,
  });
  const tail: string[] = [];
  const tether = startTether();
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      tail.push(error.message);
      resolve();
    });
    child.once('exit', () => {
      if (child.pid !== undefined) tether.release(child.pid);
      tether.end();
      resolve();
    });
  });
  for (const stream of [child.stdout, child.stderr]) readLines(stream, (line) => remember(tail, line, log));
  const pid = child.pid;
  if (pid !== undefined) tether.hold(pid, 'INT');
  const ready = pid !== undefined && (await untilReady(cluster, pid, () => child.exitCode !== null || child.signalCode !== null));
  if (!ready || pid === undefined) {
    child.kill('SIGKILL');
    await ended;
    return tail.join('\n');
  }
  return { url: cluster.url(port), pid, port, exited: ended, stop: () => stop(child, ended) };
}

function readLines(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, 16_384);
    lines.forEach(take);
  });
}

function remember(tail: string[], line: string, log: (line: string) => void): void {
  tail.push(line);
  if (tail.length > 20) tail.shift();
  log(line);
}

/** True when the server says so in its lock file, as pg_ctl reads it; false when it ended or took too long. */
async function untilReady(cluster: Cluster, pid: number, over: () => boolean): Promise<boolean> {
  const limit = Date.now() + READY_MS;
  while (!over() && Date.now() < limit) {
    const lock = cluster.lock();
    if (lock?.pid === pid && lock.status === 'ready') return true;
    await sleep(30);
  }
  return false;
}

async function stop(child: { kill(signal: NodeJS.Signals): boolean; exitCode: number | null }, ended: Promise<void>): Promise<void> {
  for (const [signal, wait] of STOP_STEPS) {
    child.kill(signal);
    const limit = new AbortController();
    const late = sleep(wait, 'late', { signal: limit.signal }).catch(() => 'late');
    const outcome = await Promise.race([ended.then(() => 'ended'), late]);
    limit.abort();
    if (outcome === 'ended') return;
  }
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
