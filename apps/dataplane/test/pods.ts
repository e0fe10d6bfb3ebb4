import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { PROXY_UID } from '@sallyport/shared/push';
import { isSkipped, type Program, systemProgram } from './programs.ts';

const REDIRECT = join(import.meta.dirname, '../src/interception/main.ts');
const COMMAND_MS = 60_000;

/** A network namespace with addresses of its own, as a pod has. */
export interface Pod {
  readonly name: string;
  readonly namespace: string;
  readonly v4: string;
  /** A second one, which is not what REDIRECT would make of it. */
  readonly second: string;
  readonly v6: string;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Pods on a bridge of this machine. Everything has this process's ID in its name, so that what a killed run left can be told. */
export class PodNetwork {
  readonly #id = `sp${process.pid}`;
  #subnet = '';
  readonly #prefix = `fd5a:11:${(process.pid % 65_536).toString(16)}:`;
  readonly #children = new Set<ChildProcess>();
  readonly #pods: Pod[] = [];

  /** Says loudly when there can be no pods here. CI must be where there can. */
  static isSkipped(what: string): boolean {
    const root: Program = process.getuid?.() === 0 ? { path: '' } : { missing: 'only root can make network namespaces' };
    const programs = [
      root, systemProgram('ip', '-V', /iproute2/), systemProgram('nft', '--version', /nftables/), systemProgram('iptables', '--version', /iptables/), systemProgram('setpriv', '--version', /util-linux/),
      systemProgram('curl', '--version', /http/), systemProgram('python3', '--version', /Python 3/), systemProgram('tcpdump', '--version', /libpcap/),
    ];
    const needed = programs.some((program) => 'missing' in program) ? programs : [namespaces()];
    return isSkipped(what, ...needed.map((program) => ('missing' in program ? { ...program, pinned: true } : program)));
  }

  /** The address of the bridge, at which pods reach this process. */
  get host(): string {
    return `${this.#subnet}.1`;
  }

  /** Addresses that nobody has. */
  unused(which: 0 | 1): string {
    return `${this.#subnet}.${200 + which}`;
  }

  open(): void {
    sweep();
    this.#subnet = freeSubnet();
    ip('link', 'add', this.#id, 'type', 'bridge');
    ip('addr', 'add', `${this.host}/24`, 'dev', this.#id);
    ip('link', 'set', this.#id, 'up');
  }

  add(name: string): Pod {
    const number = this.#pods.length + 10;
    const pod = { name, namespace: `${this.#id}-${name}`, v4: `${this.#subnet}.${number}`, second: `${this.#subnet}.${number + 100}`, v6: `${this.#prefix}:${number}` };
    const outside = `${this.#id}${name}`;
    ip('netns', 'add', pod.namespace);
    this.#pods.push(pod);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.namespace);
    ip('link', 'set', outside, 'master', this.#id, 'up');
    const inside = (...args: string[]) => ip('-n', pod.namespace, ...args);
    inside('link', 'set', 'lo', 'up');
    inside('addr', 'add', `${pod.v4}/24`, 'dev', 'eth0');
    inside('addr', 'add', `${pod.second}/24`, 'dev', 'eth0');
    inside('addr', 'add', `${pod.v6}/64`, 'dev', 'eth0', 'nodad');
    inside('link', 'set', 'eth0', 'up');
    return pod;
  }

  /** Runs a program in a pod to its end. */
  async run(pod: Pod, command: string, ...args: string[]): Promise<Ended> {
    const child = this.start(pod, [command, ...args]);
    const ended = { stdout: '', stderr: '' };
    child.stdout?.on('data', (chunk: Buffer) => void (ended.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => void (ended.stderr += chunk.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    return { code, ...ended };
  }

  redirect(pod: Pod, action: 'apply' | 'check' | 'remove', ...options: string[]): Promise<Ended> {
    return this.run(pod, process.execPath, REDIRECT, action, '--proxy-uid', String(PROXY_UID), ...options);
  }

  /** Starts a program in a pod, which lives until {@link close}. */
  start(pod: Pod, [command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    // `ip netns exec` becomes the program: its process is the child.
    const child = spawn('ip', ['netns', 'exec', pod.namespace, command, ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  /** Starts a program as the proxy's user, which may read the sources wherever they are. */
  startAsProxy(pod: Pod, command: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const who = ['--reuid', String(PROXY_UID), '--regid', String(PROXY_UID), '--clear-groups', '--inh-caps', '-all,+dac_read_search', '--ambient-caps', '-all,+dac_read_search'];
    return this.start(pod, ['setpriv', ...who, ...command], env);
  }

  async close(): Promise<void> {
    const ended = [...this.#children].map((child) => new Promise((resolve) => child.once('close', resolve)));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ended);
    for (const { name, namespace } of this.#pods) {
      // A namespace lives on while a connection in it waits for its last answer.
      spawnSync('ip', ['link', 'del', `${this.#id}${name}`]);
      ip('netns', 'del', namespace);
    }
    spawnSync('ip', ['link', 'del', this.#id]);
  }
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', timeout: COMMAND_MS, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Of the addresses that RFC 2544 §C.2.2 sets apart for tests: a network to which this machine has no route. */
function freeSubnet(): string {
  for (let i = 0; i < 250; i += 1) {
    const subnet = `198.18.${(process.pid + i) % 250}`;
    if (ip('-4', 'route', 'show', `${subnet}.0/24`) === '') return subnet;
  }
  throw new Error('198.18.0.0/16 is all in use');
}

/** What runs left whose process is gone. */
function sweep(): void {
  const left = (text: string) => [...text.matchAll(/\bsp(\d+)(?:-?[a-z]+)?\b/g)].filter(([, pid]) => !isAlive(Number(pid))).map(([name]) => name);
  for (const namespace of left(ip('netns', 'list'))) {
    for (const pid of ip('netns', 'pids', namespace).split('\n')) if (pid !== '') process.kill(Number(pid), 'SIGKILL');
    spawnSync('ip', ['netns', 'del', namespace]);
  }
  for (const type of ['veth', 'bridge']) {
    for (const link of left(ip('-o', 'link', 'show', 'type', type))) spawnSync('ip', ['link', 'del', link]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function namespaces(): Program {
  const name = `sp${process.pid}-try`;
  const { status, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (status !== 0) return { missing: `there can be no network namespace here: ${stderr.trim()}` };
  const rules = spawnSync('ip', ['netns', 'exec', name, process.execPath, REDIRECT, 'apply', '--proxy-uid', String(PROXY_UID)], { encoding: 'utf8' });
  spawnSync('ip', ['netns', 'del', name]);
  return rules.status === 0 ? { path: '' } : { missing: `the kernel takes no redirect rules: ${rules.stderr.trim()}` };
}
