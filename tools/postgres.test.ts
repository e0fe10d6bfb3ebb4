import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterEach, expect, test } from 'vitest';
import { type Postgres, startPostgres } from './postgres.ts';

const running: Postgres[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(async (server) => server.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sallyport-pg-'));
  folders.push(made);
  return join(made, 'pg');
}

async function start(dataDir: string, port?: number): Promise<Postgres> {
  // mkdtemp makes 0700; the server runs as another account.
  const parent = resolve(dataDir, '..');
  chmodSync(parent, 0o711);
  const server = await startPostgres(port === undefined ? { dataDir } : { dataDir, port });
  running.push(server);
  return server;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function alive(pid: number): boolean {
  try {
    // A zombie whose parent has not yet read its status is dead for our purpose.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(what: string, check: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    if (check()) return;
    await sleep(100);
  }
  throw new Error(`never happened: ${what}`);
}

test('data survives kill -9 of the server, on the same port', async () => {
  const home = folder();
  const first = await start(home);
  await query(first.url, 'create table kept (n int)');
  await query(first.url, 'insert into kept values (42)');
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  const second = await start(home, first.port);
  expect(second.port).toBe(first.port);
  expect(await query(second.url, 'select n from kept')).toEqual([{ n: 42 }]);
  expect(second.pid).not.toBe(first.pid);
});

test('a lock file whose number now belongs to another program does not stop the start', async () => {
  const home = folder();
  const first = await start(home);
  await first.stop();
  writeFileSync(join(home, 'data/postmaster.pid'), `${process.pid}\n${join(home, 'data')}\n0\n5432\n\n127.0.0.1\n0 0\nready\n`);
  const second = await start(home);
  expect(await query(second.url, 'select current_database() as db')).toEqual([{ db: 'sallyport' }]);
});

test('two servers run at once and know nothing of each other', async () => {
  const [one, two] = await Promise.all([start(folder()), start(folder())]);
  expect(one.port).not.toBe(two.port);
  await query(one.url, 'create table only_here (n int)');
  await expect(query(two.url, 'select * from only_here')).rejects.toThrow(/does not exist/);
});

test('a wrong password is refused and the password file is private', async () => {
  const home = folder();
  const server = await start(home);
  const wrong = new URL(server.url);
  wrong.password = 'wrong';
  await expect(query(wrong.href, 'select 1')).rejects.toThrow(/authentication failed/);
  expect(statSync(join(home, 'password')).mode & 0o777).toBe(0o600);
});

test('no other address of this machine is listened on', async () => {
  const server = await start(folder());
  const others = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((entry) => entry.family === 'IPv4' && !entry.internal)
    .map((entry) => entry.address);
  for (const host of [...others, '127.0.0.2']) {
    const socket = createConnection({ host, port: server.port });
    const outcome = await Promise.race([once(socket, 'connect').then(() => 'connected'), once(socket, 'error').then(() => 'refused')]).catch(() => 'refused');
    socket.destroy();
    expect({ host, outcome }).toEqual({ host, outcome: 'refused' });
  }
});

test('a taken port is named, with the remedy', async () => {
  const one = await start(folder());
  await expect(start(folder(), one.port)).rejects.toThrow(new RegExp(`port ${one.port} .*Remedy|Remedy: port ${one.port}`, 's'));
});

test('the server does not outlive a parent that is killed', async () => {
  const home = folder();
  chmodSync(resolve(home, '..'), 0o711);
  const source = `
    import { startPostgres } from ${JSON.stringify(resolve('tools/postgres.ts'))};
    const server = await startPostgres({ dataDir: ${JSON.stringify(home)} });
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(chunk.toString().trim());
  expect(alive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await until('the server ended', () => !alive(pid));
});
