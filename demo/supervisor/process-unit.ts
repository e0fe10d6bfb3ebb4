import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Tether } from '../../tools/tether.ts';
import type { LogFile } from './log-file.ts';
import type { Running, Unit } from './unit.ts';

export interface ProcessSpec {
  readonly name: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Limit of V8's old space in MiB: the demo has to fit beside other work. */
  readonly heapMiB: number;
  /** Asked for at every start, because a join token may have been renewed. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
}

const GRACE_MS = 8_000;
/** What a program needs from our environment; the rest, secrets included, is none of its business. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TZ'];

/** Compiled code is kept between starts: about 25 MB less memory for each proxy, and a quicker start. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/node-compile', import.meta.url));

/** A unit that is a process of the pinned Node, with its output in a log file. */
export function processUnit(spec: ProcessSpec, log: LogFile, tether: Tether): Unit {
  return {
    name: spec.name,
    async start() {
      const inherited = Object.fromEntries(INHERITED.flatMap((key) => (process.env[key] === undefined ? [] : [[key, process.env[key]]])));
      const child = spawn(process.execPath, [`--max-old-space-size=${spec.heapMiB}`, ...spec.args], {
        cwd: spec.cwd,
        env: { ...inherited, NODE_ENV: 'production', NODE_COMPILE_CACHE: COMPILE_CACHE, ...(await spec.env()) },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A session of its own: Ctrl-C at the terminal reaches us alone, and we end the units in order.
        detached: true,
      });
      return await running(child, log, tether);
    },
  };
}

async function running(child: ChildProcess, log: LogFile, tether: Tether): Promise<Running> {
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => log.write(chunk));
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => resolve(child.pid ?? 0));
  });
  tether.hold(pid);
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      tether.release(pid);
      resolve(signal ?? `exit code ${code ?? 0}`);
    });
  });
  return { pid, ended, stop: async () => await stop(child, ended) };
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const limit = new AbortController();
  const late = sleep(GRACE_MS, 'late', { signal: limit.signal }).catch(() => 'late');
  const first = await Promise.race([ended, late]);
  limit.abort();
  if (first === 'late') child.kill('SIGKILL');
  await ended;
}
