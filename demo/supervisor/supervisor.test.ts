import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTether, type Tether } from '../../tools/tether.ts';
import { loadTopology } from '../shop/topology.ts';
import { LogFile } from './log-file.ts';
import { freeNetwork, freePort } from './ports.ts';
import { processUnit } from './process-unit.ts';
import { claim, credentials, deleteState, prepareState, supervisorOf, unclaim, writePrivate } from './state.ts';
import { Supervised, type Unit } from './unit.ts';

let dir: string;
let tether: Tether;
const supervised: Supervised[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'demo-'));
  tether = startTether();
});
afterEach(async () => {
  await Promise.all(supervised.splice(0).map(async (item) => await item.stop()));
  tether.end();
  rmSync(dir, { recursive: true, force: true });
});

const QUICK = { firstMs: 10, maxMs: 40, steadyMs: 30_000 };

function alive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(what: string, check: () => boolean): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) {
    if (check()) return;
    await sleep(50);
  }
  throw new Error(`never happened: ${what}`);
}

async function script(name: string, source: string, env: Record<string, string> = {}): Promise<{ item: Supervised; log: LogFile; notes: string[] }> {
  const file = join(dir, `${name}.mjs`);
  writeFileSync(file, source);
  const log = new LogFile(join(dir, `${name}.log`));
  const notes: string[] = [];
  const item = new Supervised(processUnit({ name, args: [file], cwd: dir, heapMiB: 64, env: async () => env }, log, tether), (text) => notes.push(text), QUICK);
  supervised.push(item);
  await item.start();
  return { item, log, notes };
}

test('a child that is killed is started again, and its stop leaves nothing', async () => {
  const { item, notes } = await script('sleeper', 'setInterval(() => {}, 1000);');
  const first = item.pid ?? 0;
  expect(alive(first)).toBe(true);
  process.kill(first, 'SIGKILL');
  await until('a second process', () => item.pid !== null && item.pid !== first);
  const second = item.pid ?? 0;
  await until('a note', () => notes.length === 1);
  expect(notes[0]).toBe(`sleeper ended (SIGKILL); started again as process ${second}`);
  await item.stop();
  expect([alive(first), alive(second)]).toEqual([false, false]);
});

test('a child that ignores SIGTERM is killed', async () => {
  const { item, log } = await script('stubborn', `process.on('SIGTERM', () => console.log('no')); console.log('deaf'); setInterval(() => {}, 1000);`);
  await until('its handler', () => log.tail(1).includes('deaf'));
  const pid = item.pid ?? 0;
  await item.stop();
  expect(alive(pid)).toBe(false);
});

test('a child that keeps failing is tried again and again, with its words in the log', async () => {
  const { item, log } = await script('broken', `console.error('cannot read config'); process.exit(2);`);
  await until('three restarts', () => item.restarts >= 3);
  expect(log.tail(1)).toBe('cannot read config');
});

test('a stop that comes during the first start still ends the process', async () => {
  let pid = 0;
  const inner = processUnit({ name: 'late', args: ['-e', 'setInterval(() => {}, 1000)'], cwd: dir, heapMiB: 64, env: async () => ({}) }, new LogFile(join(dir, 'late.log')), tether);
  const unit: Unit = {
    name: 'late',
    start: async () => {
      await sleep(100);
      const running = await inner.start();
      pid = running.pid;
      return running;
    },
  };
  const item = new Supervised(unit, () => undefined, QUICK);
  const starting = item.start();
  await item.stop();
  await starting;
  expect(pid).toBeGreaterThan(0);
  expect(alive(pid)).toBe(false);
});

test('children get what they are given and none of our secrets', async () => {
  process.env['SALLYPORT_TEST_SECRET'] = 'hidden';
  const { log } = await script('env', `console.log(JSON.stringify(process.env)); setInterval(() => {}, 1000);`, { GIVEN: 'yes' });
  await until('its output', () => log.tail(1).includes('GIVEN'));
  delete process.env['SALLYPORT_TEST_SECRET'];
  expect(log.tail(1)).not.toContain('hidden');
});

test('a log is turned over at its limit and keeps one older file', () => {
  const log = new LogFile(join(dir, 'small.log'), 100);
  for (let line = 0; line < 30; line += 1) log.write(`line ${line} ${'x'.repeat(20)}\n`);
  log.write('the last\n');
  log.close();
  expect(log.tail(1)).toBe('the last');
  expect(statSync(join(dir, 'small.log')).size).toBeLessThanOrEqual(130);
  expect(statSync(join(dir, 'small.log.1')).size).toBeLessThanOrEqual(130);
});

test('a taken port is passed over, and so is one that was given out already', async () => {
  const server = createServer();
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  const address = server.address();
  const taken = address !== null && typeof address === 'object' ? address.port : 0;
  const given = new Set<number>();
  const first = await freePort(taken, given);
  const second = await freePort(taken, given);
  server.close();
  expect(first).toBeGreaterThan(taken);
  expect(second).toBeGreaterThan(first);
});

test('a loopback network in use is passed over', async () => {
  const topology = loadTopology();
  const first = await freeNetwork(topology);
  const server = createServer();
  await new Promise<void>((done) => {
    server.listen(8080, `${first}.1.1`, done);
  });
  const second = await freeNetwork(topology);
  server.close();
  expect(second).not.toBe(first);
});

test('a supervisor is known by its number and its start, not by its number alone', () => {
  const state = prepareState(join(dir, 'state'));
  expect(supervisorOf(state.dir)).toBeNull();
  claim(state.dir);
  expect(supervisorOf(state.dir)).toBe(process.pid);
  expect(() => claim(state.dir)).toThrow(/another demo is starting/);
  writePrivate(join(state.dir, 'supervisor.json'), { pid: process.pid, start: '1' });
  expect(supervisorOf(state.dir)).toBeNull();
  unclaim(state.dir);
});

test('the sign-in stays the same, in a file that is private', () => {
  const state = prepareState(join(dir, 'state'));
  const first = credentials(state);
  expect(credentials(state)).toEqual(first);
  expect(first.password.length).toBeGreaterThanOrEqual(12);
  expect(statSync(join(state.dir, 'credentials.json')).mode & 0o777).toBe(0o600);
});

test('a long path puts the sockets elsewhere, in a folder of our own', () => {
  const state = prepareState(join(dir, 'x'.repeat(90)));
  expect(state.run.startsWith(state.dir)).toBe(false);
  expect(statSync(state.run).mode & 0o777).toBe(0o700);
  deleteState(state.dir);
  expect(() => statSync(state.run)).toThrow(/ENOENT/);
});

test('deleting the state leaves what is not ours', () => {
  const state = prepareState(join(dir, 'state'));
  mkdirSync(join(state.dir, 'mine'));
  deleteState(state.dir);
  expect(statSync(join(state.dir, 'mine')).isDirectory()).toBe(true);
  expect(() => statSync(state.logs)).toThrow(/ENOENT/);
});
