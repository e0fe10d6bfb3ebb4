/**
 * `npm run soak:identity -- [--minutes N] [--keep]`
 *
 * A real operator, two real proxies and an application, with calls all the while, at lifetimes of which 60 s stand for a
 * day. The root is rotated twice through the API. The exit code is 1 when a call failed, a proxy ended, an SVID expired or
 * fewer than two rotations were completed. Nothing here measures speed.
 */
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EchoMesh } from '../../apps/operator/src/testing/echo-mesh.ts';
import { startOperator, type TestOperator } from '../../apps/operator/src/testing/operator.ts';
import { until } from '../../apps/operator/src/testing/until.ts';
import { startPostgres } from '../../tools/postgres.ts';
import { Load } from './load.ts';
import { CaWatch } from './watch.ts';

/** 24 h are 60 s. The root would follow by itself after 12 h: it is rotated by hand here. */
const LIFETIMES = { leafLifetime: '60s', issuerLifetime: '6m', rootLifetime: '24h' };
/** When the root is rotated, as shares of the run. */
const ROTATIONS = [0.1, 0.5];
const LEAST_MINUTES = 8;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '20' }, keep: { type: 'boolean', default: false } } });
const minutes = Number(values.minutes);
if (!(minutes >= LEAST_MINUTES)) {
  console.error(`usage: npm run soak:identity -- [--minutes N] [--keep]; two rotations need ${LEAST_MINUTES} minutes`);
  process.exit(2);
}

const tell = (text: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);

/** @returns whether all went well */
async function soak(operator: TestOperator, mesh: EchoMesh): Promise<boolean> {
  let restarts = 0;
  for (const proxy of mesh.proxies) proxy.once('exit', () => (restarts += 1));
  const trouble = await until(() => mesh.trouble(), (text) => text === null);
  if (trouble !== null) throw new Error(`the mesh does not work: ${trouble}`);
  const watch = new CaWatch(operator);
  const load = new Load(mesh, tell);
  const start = Date.now();
  tell(`calls begin; ${minutes} minutes`);
  let broken: string | null = null;
  try {
    for (const share of ROTATIONS) {
      await watch.until(start + share * minutes * 60_000);
      await watch.rotateRoot(tell);
    }
    await watch.until(start + minutes * 60_000);
  } catch (error) {
    broken = (error as Error).message;
  }
  await load.stop();
  const good = broken === null && load.failures === 0 && restarts === 0 && watch.expired.length === 0 && watch.rotations >= 2 && watch.record === 'intact';
  report(load, watch, { restarts, broken, seconds: (Date.now() - start) / 1000 });
  return good;
}

function report(load: Load, watch: CaWatch, end: { restarts: number; broken: string | null; seconds: number }): void {
  for (const [name, { calls, failures }] of load.tallies) console.log(`${name}: ${calls} calls, ${failures} failed`);
  console.log(`${end.seconds.toFixed(0)} s; SVIDs issued ${watch.svids}; roots ${watch.roots.size}, issuers ${watch.issuers.size}; rotations completed ${watch.rotations}; proxies that ended ${end.restarts}; SVIDs seen expired ${watch.expired.length}; record of issuance ${watch.record}`);
  for (const line of watch.expired.slice(0, 10)) console.log(`  expired: ${line}`);
  if (end.broken !== null) console.log(`ended early: ${end.broken}`);
}

async function main(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'soak-'));
  // As root, PostgreSQL runs as another account, which has to get through here.
  await chmod(directory, 0o711);
  const log = openSync(join(directory, 'proxies.log'), 'w');
  const postgres = await startPostgres({ dataDir: join(directory, 'pg') });
  let operator: TestOperator | null = null;
  let mesh: EchoMesh | null = null;
  let good = false;
  try {
    operator = await startOperator({ databaseUrl: postgres.url });
    mesh = await EchoMesh.start(operator, directory, { certificates: LIFETIMES }, log);
    good = await soak(operator, mesh);
    console.log(good ? 'soak: passed' : `soak: FAILED; the proxies’ log is ${join(directory, 'proxies.log')}`);
  } finally {
    await mesh?.close();
    await operator?.close();
    await postgres.stop();
    closeSync(log);
    if (good && !values.keep) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
  return good ? 0 : 1;
}

process.exitCode = await main();
