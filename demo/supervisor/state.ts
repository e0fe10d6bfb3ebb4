import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { reachable, serverUser } from '../../tools/postgres-cluster.ts';
import { LONGEST_SOCKET_NAME } from '../shop/place.ts';

/** sun_path holds 108 bytes with the closing zero on Linux, 104 on macOS. */
const MAX_SOCKET_PATH = 103;

/** What the parts of one trust domain keep. */
export interface Folders {
  readonly operator: string;
  readonly proxies: string;
}

/** Where a demo keeps what: all below one folder, but for what cannot be there. */
export interface State extends Folders {
  readonly dir: string;
  readonly logs: string;
  /** Home of the PostgreSQL server. */
  readonly pg: string;
  /** Folder of the Unix sockets. */
  readonly run: string;
}

/** What `demo.json` says to people, the command line and the tests. Mode 0600: it holds the password. */
export interface DemoRecord {
  readonly consoleUrl: string;
  readonly apiUrl: string;
  readonly username: string;
  readonly password: string;
  readonly pid: number;
  readonly network: string;
  /** The trust domain that the shop federates with, and its operator, which takes the same sign-in. */
  readonly partner: { readonly trustDomain: string; readonly apiUrl: string } | null;
  readonly ports: Readonly<Record<string, number>>;
  readonly proxies: readonly { readonly name: string; readonly role: string; readonly adminUrl: string }[];
  /** Number of each process now; null while it is being restarted. */
  readonly processes: Readonly<Record<string, number | null>>;
}

/** Everything that a demo ever makes in its folder: what `reset` deletes, and nothing else. */
const OURS = ['pg', 'operator', 'proxies', 'partner', 'run', 'logs', 'demo.json', 'credentials.json', 'location.json', 'supervisor.json', 'cli-token.json'];

/** Makes the folders of a demo. Private ones are 0700; the root lets PostgreSQL's account pass through. */
export function prepareState(folder: string): State {
  const dir = resolve(folder);
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o711);
  const state = { ...locate(dir), dir, logs: join(dir, 'logs'), operator: join(dir, 'operator'), proxies: join(dir, 'proxies') };
  for (const made of [state.logs, state.operator, state.proxies]) mkdirSync(made, { recursive: true, mode: 0o700 });
  privateFolder(state.run);
  return state;
}

/** Makes the folders of the partner: from then on the demo has one, until a reset. */
export function partnerFolders({ dir }: State): Folders {
  const folders = { operator: join(dir, 'partner/operator'), proxies: join(dir, 'partner/proxies') };
  for (const made of Object.values(folders)) mkdirSync(made, { recursive: true, mode: 0o700 });
  return folders;
}

/** True when this demo ran with a partner before: the shop still counts on it. */
export function hasPartner({ dir }: State): boolean {
  return existsSync(join(dir, 'partner'));
}

function locate(dir: string): { pg: string; run: string } {
  const file = join(dir, 'location.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as { pg: string; run: string };
  const mark = createHash('sha256').update(dir).digest('hex').slice(0, 12);
  const here = join(dir, 'run');
  const location = {
    pg: reachable(dir, serverUser()) ? join(dir, 'pg') : join('/var/lib', `sallyport-${mark}`),
    run: here.length + 1 + LONGEST_SOCKET_NAME <= MAX_SOCKET_PATH ? here : join(tmpdir(), `sallyport-${mark}`),
  };
  writePrivate(file, location);
  return location;
}

/** A folder that only we can enter; one that somebody else made in our place is refused. */
function privateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(path);
  if (!found.isDirectory() || (process.getuid !== undefined && found.uid !== process.getuid())) {
    throw new Error(`${path} is not a folder of ours. Remedy: remove it and start again`);
  }
  chmodSync(path, 0o700);
}

/** Writes JSON so that a reader sees the old or the new content. Mode 0600. */
export function writePrivate(file: string, value: unknown): void {
  const draft = `${file}.${process.pid}.new`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

/** The generated sign-in, the same for every run until a reset. */
export function credentials(state: State): { username: string; password: string } {
  const file = join(state.dir, 'credentials.json');
  if (!existsSync(file)) writePrivate(file, { username: 'admin', password: randomBytes(12).toString('base64url') });
  return JSON.parse(readFileSync(file, 'utf8')) as { username: string; password: string };
}

/** When a process started, in the system's own words; null when there is no such process (a zombie is none). */
function startOf(pid: number): string | null {
  if (existsSync('/proc/self/stat')) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // Fields after the name in parentheses, which may hold blanks: state is the first, starttime the 20th.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? null : (fields[19] ?? null);
    } catch {
      return null;
    }
  }
  const listing = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return listing.stdout.trim() || null;
}

/** Records this process as the demo's supervisor. @throws Error when another one was faster */
export function claim(dir: string): void {
  if (supervisorOf(dir) === null) unclaim(dir);
  try {
    writeFileSync(join(dir, 'supervisor.json'), JSON.stringify({ pid: process.pid, start: startOf(process.pid) }), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new Error('another demo is starting here. Remedy: wait for it, or run npm run demo:stop', { cause: error });
  }
}

/** The supervisor of a demo, if it still runs: a number that now belongs to another process is none. */
export function supervisorOf(dir: string): number | null {
  const file = join(resolve(dir), 'supervisor.json');
  if (!existsSync(file)) return null;
  const { pid, start } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; start: string | null };
  return start !== null && startOf(pid) === start ? pid : null;
}

export function readRecord(dir: string): DemoRecord | null {
  const file = join(resolve(dir), 'demo.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as DemoRecord) : null;
}

/** Forgets that a demo runs; its data stays. */
export function unclaim(dir: string): void {
  for (const name of ['supervisor.json', 'demo.json']) rmSync(join(dir, name), { force: true });
}

/** Deletes what a demo made, and its folder when nothing else is in it. */
export function deleteState(folder: string): void {
  const dir = resolve(folder);
  if (!existsSync(dir)) return;
  const location = join(dir, 'location.json');
  if (existsSync(location)) {
    const { pg, run } = JSON.parse(readFileSync(location, 'utf8')) as { pg: string; run: string };
    for (const outside of [pg, run]) rmSync(outside, { recursive: true, force: true });
  }
  for (const name of OURS) rmSync(join(dir, name), { recursive: true, force: true });
  if (readdirSync(dir).length === 0) rmdirSync(dir);
}
