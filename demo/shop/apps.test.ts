import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { httpApplication, listenOn, tcpApplication } from './application.ts';
import { Caller, send } from './caller.ts';
import { fillPath, matchPath } from './goods.ts';
import { appSocket, controlSocket, outboundSocket, tcpSocket } from './place.ts';
import { attack } from './rogue.ts';
import { loadTopology, workloadOf } from './topology.ts';

const topology = loadTopology();
let run: string;
const closers: (() => void)[] = [];
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'shop-'));
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
  rmSync(run, { recursive: true, force: true });
});
const place = () => ({ run, network: '127.77' });

/** Stands where a proxy would: records what an application sends out and answers with a status. */
async function recordingProxy(path: string, status: number): Promise<string[]> {
  const seen: string[] = [];
  const server = createServer((incoming, answer) => {
    seen.push(`${incoming.method} ${incoming.headers.host} ${incoming.url} ${String(incoming.headers['traceparent'] ?? '')}`.trim());
    incoming.resume();
    answer.writeHead(status, status === 403 ? { 'x-sallyport-reason': 'policy-no-allow' } : {}).end();
  });
  await listenOn(server, path);
  closers.push(() => server.close());
  return seen;
}

async function get(socketPath: string, method: string, path: string): Promise<{ status: number; body: string }> {
  return await new Promise((done, fail) => {
    const outgoing = request({ socketPath, method, path, agent: false, headers: { traceparent: 'trace-1' } }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      answer.on('end', () => done({ status: answer.statusCode ?? 0, body }));
    });
    outgoing.on('error', fail);
    outgoing.end();
  });
}

test('a service makes the calls of its route through its own proxy, with the ids and the trace of the request', async () => {
  const workload = workloadOf(topology, { namespace: 'catalog', name: 'productcatalog' });
  const caller = new Caller(workload.name, place());
  const server = httpApplication(workload, caller);
  closers.push(() => server.close(), () => caller.close());
  await listenOn(server, appSocket(place(), workload.name));
  const seen = await recordingProxy(outboundSocket(place(), workload.name), 200);
  const answer = await get(appSocket(place(), workload.name), 'GET', '/products/OLJCESPC7Z');
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body)).toEqual({ service: 'productcatalog', product: 'OLJCESPC7Z' });
  expect(seen).toEqual(['GET inventory.platform /stock/OLJCESPC7Z trace-1']);
});

test('a refused call fails the request above it and names the reason', async () => {
  const workload = workloadOf(topology, { namespace: 'payments', name: 'payment' });
  const caller = new Caller(workload.name, place());
  const server = httpApplication(workload, caller);
  closers.push(() => server.close(), () => caller.close());
  await listenOn(server, appSocket(place(), workload.name));
  await recordingProxy(outboundSocket(place(), workload.name), 403);
  const answer = await get(appSocket(place(), workload.name), 'POST', '/charges');
  expect(answer).toMatchObject({ status: 502, body: expect.stringContaining('fraud: 403 policy-no-allow') as string });
});

test('an unknown path is 404', async () => {
  const workload = workloadOf(topology, { namespace: 'catalog', name: 'ads' });
  const server = httpApplication(workload, new Caller('ads', place()));
  closers.push(() => server.close());
  await listenOn(server, appSocket(place(), 'ads'));
  expect((await get(appSocket(place(), 'ads'), 'GET', '/nothing')).status).toBe(404);
});

test('the TCP store answers through the socket of its caller, and reuses the connection', async () => {
  const store = tcpApplication();
  let connections = 0;
  store.on('connection', () => (connections += 1));
  const target = { namespace: 'platform', name: 'cartstore' };
  await listenOn(store, tcpSocket(place(), 'cart', target));
  closers.push(() => store.close());
  const caller = new Caller('cart', place());
  closers.push(() => caller.close());
  const call = { to: target, method: null, path: null, share: 1, declared: true };
  expect(await caller.make(call, {})).toEqual({ status: 200, reason: null });
  expect(await caller.make(call, {})).toEqual({ status: 200, reason: null });
  expect(connections).toBe(1);
});

test('a socket file that a dead process left does not stop the next one', async () => {
  writeFileSync(join(run, 'stale.in'), '');
  const server = tcpApplication();
  closers.push(() => server.close());
  await expect(listenOn(server, join(run, 'stale.in'))).resolves.toBeUndefined();
});

test('without a proxy a call has an outcome and does not throw', async () => {
  expect(await send({ socketPath: join(run, 'nobody'), path: '/' }, null)).toEqual({ status: 0, reason: 'ENOENT' });
});

test('deny-burst makes 60 calls and counts what really came back', async () => {
  await recordingProxy(outboundSocket(place(), 'rogue'), 403);
  const results = await attack('deny-burst', { topology, place: place(), namespace: 'orders', burstMs: 60 });
  expect(results).toEqual([{ target: 'payments/payment', outcomes: { '403 policy-no-allow': 60 } }]);
});

test('lateral-move tries every service, the TCP one included', async () => {
  const seen = await recordingProxy(outboundSocket(place(), 'rogue'), 200);
  const results = await attack('lateral-move', { topology, place: place(), namespace: 'orders', burstMs: 0 });
  expect(results.map((item) => item.target).toSorted()).toEqual(
    topology.workloads.filter((item) => item.port !== null).map((item) => `${item.namespace}/${item.name}`).toSorted(),
  );
  expect(seen).toHaveLength(3 * (results.length - 1));
  expect(results.find((item) => item.target === 'platform/cartstore')?.outcomes).toEqual({ ENOENT: 3 });
});

test('paths are filled from the request and taken apart again', () => {
  expect(fillPath('/carts/{user}/items', { user: 'a/b' })).toBe('/carts/a%2Fb/items');
  expect(matchPath('/carts/{user}/items', '/carts/a%2Fb/items')).toEqual({ user: 'a/b' });
  expect(matchPath('/carts/{user}', '/carts/')).toBeNull();
  expect(fillPath('/products/{product}', {})).toMatch(/^\/products\/[A-Z0-9]{10}$/);
});

test('a part of the shop starts as a process, answers its supervisor and ends on request', async () => {
  const child: ChildProcess = spawn(process.execPath, [resolve('demo/shop/apps.ts'), 'inside-a', run, '127.77'], { stdio: ['ignore', 'pipe', 'inherit'] });
  closers.push(() => child.kill('SIGKILL'));
  if (!child.stdout) throw new Error('no output');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString()).toContain('storefront/frontend');
  expect(await get(controlSocket(place(), 'inside-a'), 'GET', '/healthz')).toEqual({ status: 200, body: 'ok' });
  expect((await get(appSocket(place(), 'ads'), 'GET', '/ads')).status).toBe(200);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
