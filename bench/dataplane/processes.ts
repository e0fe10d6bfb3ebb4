import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { cpus } from 'node:os';

/** Proxies have this core to themselves; load, application and this process share the other. */
const PROXY_CORE = '1';
const LOAD_CORE = '0';
const READY_MS = 20_000;

/** Where a process runs. Without two cores or `taskset` nothing is pinned. */
export type Place = 'proxy' | 'load';

const pinning = cpus().length > 1 && spawnSync('taskset', ['-V']).status === 0;

/** What keeps processes from being pinned, for the report; null when they are. */
export const unpinned = pinning ? null : 'proxies and load share their cores: pinning needs two of them and the command taskset';

/** Pins this process too, so that the operator's stand-in does not take the proxies' time. */
export function pinMyself(): void {
  if (pinning) spawnSync('taskset', ['-a', '-c', '-p', LOAD_CORE, String(process.pid)]);
}

export function pinned(place: Place, command: string, args: readonly string[]): [string, string[]] {
  return pinning ? ['taskset', ['-c', place === 'proxy' ? PROXY_CORE : LOAD_CORE, command, ...args]] : [command, [...args]];
}

/** The processes that this bench started and ends. */
export class Processes {
  readonly #children: ChildProcess[] = [];

  /** Starts a process whose output goes to `log`. `environment` replaces ours when given. */
  start(place: Place, command: string, args: readonly string[], log: string, environment: NodeJS.ProcessEnv = process.env): ChildProcess {
    const [program, all] = pinned(place, command, args);
    const child = spawn(program, all, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log);
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    child.on('error', (error) => file.write(error.message));
    this.#children.push(child);
    return child;
  }

  /** Ends all in order; what does not end within five seconds is killed. */
  async stop(): Promise<void> {
    await Promise.all(this.#children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    }));
  }
}

/** Waits until somebody listens on the port. @throws Error with the process's last words when it ended before */
export async function listening(port: number, child: ChildProcess, log: string): Promise<void> {
  const end = Date.now() + READY_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`nobody listens on port ${port}; the end of ${log}: ${lastWords(log)}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export function lastWords(log: string): string {
  return readFileSync(log, 'utf8').trim().split('\n').slice(-4).join(' | ').slice(0, 600);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A process and all that descend from it: nginx works in a child. */
export function familyOf(child: ChildProcess): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(name));
  }
  const family = [child.pid ?? 0];
  for (const pid of family) for (const [candidate, parent] of parents) if (parent === pid) family.push(candidate);
  return family;
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold spaces; the state and then the parent follow it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

/** Memory of processes in KiB: proportional (pages that are shared count by parts), and resident. */
export interface Memory {
  readonly pss: number;
  readonly rss: number;
}

export function memoryOf(pids: readonly number[]): Memory {
  const sum = (field: string) => pids.reduce((total, pid) => total + Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0), 0);
  return { pss: sum('Pss'), rss: sum('Rss') };
}
