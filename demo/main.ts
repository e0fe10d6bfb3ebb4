import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlSocket } from './shop/place.ts';
import { type AttackResult, ATTACKS } from './shop/rogue.ts';
import { ROOT } from './supervisor/specs.ts';
import { deleteState, prepareState, readRecord, supervisorOf, unclaim } from './supervisor/state.ts';
import { upDetached, upHere } from './supervisor/up.ts';

const USAGE = `Usage: node demo/main.ts <command> [--state DIR]

  up [--detach]      start the demo; Ctrl-C ends it. --detach: return when it is ready and leave it running
                     --federated: with a second trust domain beside the shop, from then on until a reset
  stop               end a running demo; its data stays
  reset              end it and delete its data
  attack NAME        let the rogue workload act: ${ATTACKS.join(', ')}
                     (plaintext: --namespace NS, default orders; --json: its results for programs)

State is kept in DIR, else in $SALLYPORT_STATE, else in .sallyport of the clone.`;

const STOP_MS = 40_000;

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { detach: { type: 'boolean' }, federated: { type: 'boolean' }, json: { type: 'boolean' }, state: { type: 'string' }, namespace: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const dir = resolve(values.state ?? process.env['SALLYPORT_STATE'] ?? join(ROOT, '.sallyport'));
  const [command, name] = positionals;
  if (values.help === true || command === undefined) {
    console.log(USAGE);
    return values.help === true ? 0 : 2;
  }
  if (command === 'up') return await up(dir, values.detach === true, values.federated === true);
  if (command === 'stop') return await stop(dir);
  if (command === 'reset') return await reset(dir);
  if (command === 'attack') return await runAttack(dir, name ?? '', values.namespace ?? 'orders', values.json === true);
  console.error(`unknown command "${command}"\n\n${USAGE}`);
  return 2;
}

async function up(dir: string, detach: boolean, federated: boolean): Promise<number> {
  const running = supervisorOf(dir);
  if (running !== null) {
    const record = readRecord(dir);
    const address = record?.consoleUrl;
    console.log(`The demo already runs as process ${running}${address ? ` at ${address}` : ' and is still starting'}. Stop it with: npm run demo:stop`);
    if (!federated || record?.partner) return 0;
    console.error('It has no partner. Remedy: stop it, and start it again with --federated; its data stays');
    return 1;
  }
  return detach ? await upDetached(dir, federated) : await upHere(prepareState(dir), federated);
}

async function stop(dir: string): Promise<number> {
  const pid = supervisorOf(dir);
  if (pid === null) {
    if (existsSync(dir)) unclaim(dir);
    console.log('No demo is running.');
    return 0;
  }
  process.kill(pid, 'SIGTERM');
  const limit = Date.now() + STOP_MS;
  while (supervisorOf(dir) !== null && Date.now() < limit) await sleep(100);
  if (supervisorOf(dir) !== null) {
    // Its tether then ends whatever it still held.
    process.kill(pid, 'SIGKILL');
    await sleep(1_000);
  }
  unclaim(dir);
  console.log(`Stopped the demo (process ${pid}). Its data stays; npm run demo:reset deletes it.`);
  return 0;
}

async function reset(dir: string): Promise<number> {
  await stop(dir);
  deleteState(dir);
  console.log(`Deleted the demo's data in ${dir}.`);
  return 0;
}

async function runAttack(dir: string, name: string, namespace: string, json: boolean): Promise<number> {
  if (!(ATTACKS as readonly string[]).includes(name)) {
    console.error(`unknown attack "${name}". Remedy: use one of ${ATTACKS.join(', ')}`);
    return 2;
  }
  const record = readRecord(dir);
  if (supervisorOf(dir) === null || record === null) {
    console.error('No demo is running. Remedy: start it with npm run demo');
    return 1;
  }
  console.error(`${name}: running${name === 'deny-burst' ? ', for about 10 s' : ''} …`);
  const place = { run: prepareState(dir).run, network: record.network };
  const results = await command(controlSocket(place, 'outside'), `/attack/${name}?namespace=${encodeURIComponent(namespace)}`);
  if (json) {
    console.log(JSON.stringify(results));
    return 0;
  }
  if (results.length === 0) console.log(`no service in namespace ${namespace}`);
  for (const { target, outcomes } of results) {
    const words = Object.entries(outcomes).map(([outcome, count]) => `${count} x ${outcome}`);
    console.log(`  ${target.padEnd(26)} ${words.join(', ')}`);
  }
  return 0;
}

async function command(socketPath: string, path: string): Promise<AttackResult[]> {
  const text = await new Promise<string>((done, fail) => {
    const outgoing = request({ socketPath, path, method: 'POST', agent: false, timeout: 60_000 }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      answer.on('end', () => (answer.statusCode === 200 ? done(body) : fail(new Error(`the rogue workload answered ${answer.statusCode ?? 0}: ${body}`))));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('the rogue workload did not answer within 60 s')));
    outgoing.on('error', fail);
    outgoing.end();
  });
  return JSON.parse(text) as AttackResult[];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`sallyport demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
