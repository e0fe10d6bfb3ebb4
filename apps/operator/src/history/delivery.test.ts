import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FlowsView } from '@sallyport/shared/api';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { freePort } from '../../../../tools/free-port.ts';
import { startDataPlane } from '../testing/data-plane.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';

/** A real proxy that reports to a real operator over a wire that is cut after the operator committed and before it answered. */

/** Passes bytes between proxy and operator, until it is told otherwise. It sees nothing but TLS. */
class Wire {
  /** Keeps what the operator answers. */
  mute = false;
  /** Takes no connection. */
  broken = false;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#join(client));
  readonly #to: number;

  constructor(to: string) {
    this.#to = Number(new URL(to).port);
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #join(client: Socket): void {
    if (this.broken) return void client.destroy();
    const operator = connect(this.#to, '127.0.0.1');
    client.on('data', (data) => operator.write(data));
    operator.on('data', (data) => (this.mute ? false : client.write(data)));
    for (const [one, other] of [[client, operator], [operator, client]] as const) {
      this.#sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}

/** Every round restarts something or waits for reports. */
vi.setConfig({ testTimeout: 120_000 });

const directory = mkdtempSync(join(tmpdir(), 'delivery-'));
const app = http.createServer((_req, res) => res.end('app'));
let operator: TestOperator;
let wire: Wire;
let proxy: ChildProcess;
let database: Client;
let settings: Record<string, string>;
let sent = 0;

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });

beforeAll(async () => {
  app.listen(join(directory, 'app.sock'));
  operator = await startOperator();
  database = new Client({ connectionString: operator.databaseUrl });
  await database.connect();
  wire = new Wire(operator.streamUrl);
  settings = { SALLYPORT_STREAM_URL: await wire.listen(), SALLYPORT_REPORT_INTERVAL: '150ms' };
  const port = await freePort();
  const manifest = [
    doc('Mesh', 'default', null, { trustDomain: 'shop.test' }),
    doc('Workload', 'api', 'shop', { serviceAccount: 'api', address: '127.0.0.1', proxy: 'node-1', inbound: [{ port, protocol: 'http', app: `unix:${directory}/app.sock` }] }, { app: 'api' }),
    doc('Workload', 'web', 'shop', { serviceAccount: 'web', address: '127.0.0.1', proxy: 'node-1', outbound: [{ protocol: 'http', listen: `unix:${directory}/web.sock` }] }, { app: 'web' }),
    doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80, targetPort: port }] }),
  ].join('\n---\n');
  await operator.call('POST', '/apply', { manifest });
  proxy = await startDataPlane(operator, directory, settings);
  await until(async () => (await send()) === 200);
});
afterAll(async () => {
  proxy.kill('SIGKILL');
  wire.close();
  await database.end();
  await operator.close();
  app.close();
  app.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 25_000; !(await condition()); await delay(20)) if (Date.now() > end) throw new Error(`waited in vain for ${condition.toString()}`);
}

/** One call of the application; counted here when it was answered by the other side. */
function send(): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath: join(directory, 'web.sock'), agent: false, headers: { host: 'api.shop' } }, (answer) => {
      answer.resume();
      if (answer.statusCode === 200) sent += 1;
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    request.on('error', () => resolve(0));
  });
}

const first = async (sql: string): Promise<number> => Number((await database.query<{ value: string | null }>(sql)).rows[0]?.value ?? 0);
const counted = (side: 'inbound' | 'outbound') => first(`SELECT sum(count) AS value FROM flow_buckets WHERE side = '${side}' AND verdict = 'allowed' AND mtls = 'mutual'`);

const SEQ = 'SELECT last_seq AS value FROM report_epochs ORDER BY last_at DESC LIMIT 1';
const taken = async () => ({ seq: await first(SEQ), calls: await counted('inbound') });

/** Waits until reports are taken, and answered: each is sent only after the answer to the one before. */
async function delivering(): Promise<void> {
  const before = await first(SEQ);
  await until(async () => (await first(SEQ)) >= before + 2);
}

/** Has the operator commit a report with calls whose answer is kept back, and lets `lose` happen then. */
async function loseAnAnswer(lose: () => Promise<void>): Promise<void> {
  for (let lost = false; !lost; ) {
    await delivering();
    wire.mute = true;
    const before = await taken();
    // At most one report is on its way. Was it taken already, or was it empty, then this round was none.
    for (let attempt = 0; attempt < 40 && !lost; attempt += 1) {
      expect(await send()).toBe(200);
      const now = await taken();
      lost = now.seq > before.seq && now.calls > before.calls;
    }
    if (lost) await lose();
    else wire.cut();
    wire.mute = false;
  }
}

async function expectAllCountedOnce(): Promise<void> {
  await until(async () => (await counted('inbound')) >= sent && (await counted('outbound')) >= sent);
  // What is sent again would come now.
  await delivering();
  expect([await counted('inbound'), await counted('outbound')]).toEqual([sent, sent]);
}

async function gaps(): Promise<{ from: string; to: string }[]> {
  const view = (await operator.call('GET', '/flows?window=5m')).body as FlowsView;
  return view.coverage.proxies[0]?.gaps ?? [];
}

it('is exact although answers are lost after the commit, again and again', async () => {
  for (let round = 0; round < 3; round += 1) await loseAnAnswer(async () => wire.cut());
  await expectAllCountedOnce();
  expect(await gaps()).toEqual([]);
});

it('is exact although the operator is killed after the commit', async () => {
  await loseAnAnswer(async () => {
    await operator.restart();
    wire.cut();
  });
  await send();
  await expectAllCountedOnce();
  expect(await gaps()).toEqual([]);
});

it('is exact over an orderly restart of the proxy whose last answers were lost', async () => {
  await loseAnAnswer(async () => wire.cut());
  const ended = once(proxy, 'exit');
  proxy.kill('SIGTERM');
  await ended;
  proxy = await startDataPlane(operator, directory, settings);
  await until(async () => (await send()) === 200);
  await expectAllCountedOnce();
  // Nobody was there to report between the two.
  expect(await gaps()).toHaveLength(1);
});

it('says so when a proxy dies with what it did not deliver', async () => {
  wire.broken = true;
  wire.cut();
  const before = await counted('inbound');
  expect(await send()).toBe(200);
  const lostAt = Date.now();
  const ended = once(proxy, 'exit');
  proxy.kill('SIGKILL');
  await ended;
  wire.broken = false;
  proxy = await startDataPlane(operator, directory, settings);
  await until(async () => (await send()) === 200);
  await until(async () => (await counted('inbound')) > before);
  const around = (await gaps()).filter(({ from, to }) => Date.parse(from) <= lostAt && Date.parse(to) >= lostAt);
  expect(around).toHaveLength(1);
});
