import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Lab } from './lab.ts';
import { pinned } from './processes.ts';
import { hostOf, pathOf, protocolOf, type Scenario } from './scenarios.ts';
import type { Deployment, Protocol } from './target.ts';

/** One measurement. For bulk, a request is a MiB and there are no latencies. */
export interface Slice {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of all proxy processes for each request. */
  readonly cpuMicros: number;
}

/** What one call came to; `error` when no answer came. */
export interface Seen {
  readonly status: number;
  readonly grpc: string;
  readonly size: number;
  readonly error: string;
}

export type Caller = 'web' | 'other' | 'plaintext';

const EXTRA_MS = 30_000;

function certificate(lab: Lab, caller: Caller): string[] {
  if (caller === 'plaintext') return [];
  const file = (name: string) => join(lab.directory, name);
  return ['-cert', file(`${caller}.pem`), '-key', file(`${caller}.key`), '-ca', file('ca.pem')];
}

async function run<T>(lab: Lab, args: readonly string[], ms: number): Promise<T> {
  const [program, all] = pinned('load', lab.loadgen, args);
  try {
    const { stdout } = await promisify(execFile)(program, all, { timeout: ms + EXTRA_MS });
    return JSON.parse(stdout) as T;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error((stderr?.trim() || message).replace(/^loadgen: /, ''), { cause: error });
  }
}

/** Where a scenario's calls enter; null when the target does not serve them. */
export function portOf(scenario: Scenario, { doors }: Deployment): number | null {
  return (scenario.hops === 'S' ? doors.mtls : doors.plain)[protocolOf(scenario)];
}

/** Runs one slice. @throws Error that says which answer was wrong or what did not come */
export function slice(lab: Lab, scenario: Scenario, deployment: Deployment, warmMs: number, ms: number): Promise<Slice> {
  const single = scenario.hops === 'S';
  const port = portOf(scenario, deployment);
  const pids = single ? deployment.server : [...deployment.client, ...deployment.server];
  const { mode, connections, streams, size } = scenario;
  const args = ['load', '-mode', mode, '-addr', `127.0.0.1:${port}`, '-path', pathOf(scenario), '-host', hostOf(protocolOf(scenario)), '-conns', String(connections), '-streams', String(streams), '-size', String(size)];
  return run<Slice>(lab, [...args, '-warm', `${warmMs}ms`, '-time', `${ms}ms`, '-pids', pids.join(','), ...(single ? certificate(lab, 'web') : [])], ms + warmMs);
}

/** Makes one call. */
export function callOnce(lab: Lab, mode: Protocol, port: number, path: string, caller: Caller): Promise<Seen> {
  return run<Seen>(lab, ['once', '-mode', mode, '-addr', `127.0.0.1:${port}`, '-path', path, '-host', hostOf(mode), ...certificate(lab, caller)], 0);
}

/** Holds idle mTLS connections, each of which has made one call, while `look` looks. */
export async function holding<T>(lab: Lab, target: string, port: number, connections: number, look: () => T): Promise<T> {
  const args = ['hold', '-addr', `127.0.0.1:${port}`, '-path', '/items/1024', '-conns', String(connections), ...certificate(lab, 'web')];
  const child = spawn(...pinned('load', lab.loadgen, args), { stdio: ['pipe', 'pipe', 'pipe'] });
  const problems: Buffer[] = [];
  child.stderr.on('data', (text: Buffer) => problems.push(text));
  const ended = once(child, 'exit');
  const ready = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
  if (!ready) throw new Error(`${target}: idle connections could not be held: ${Buffer.concat(problems).toString().trim()}`);
  const seen = look();
  child.stdin.end();
  await ended;
  return seen;
}
