import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../test/certificates.ts';
import { ChildProxy } from '../test/child.ts';
import { addService, addWorkload, baseEntries, freePort, TestMesh, until } from '../test/mesh.ts';

const HOSTS = { b: '127.0.0.47', c: '127.0.0.48' } as const;
const TEST_MS = 120_000;
const BODY = 'x'.repeat(20_000);

let mesh: TestMesh;
let agent: http.Agent;
let session: http2.ClientHttp2Session | null;
let servers: Map<string, () => Promise<ChildProxy>>;
const running = new Map<string, ChildProxy>();

beforeEach(() => {
  agent = new http.Agent({ keepAlive: true });
  session = null;
});
afterEach(async () => {
  agent.destroy();
  session?.destroy();
  for (const child of running.values()) child.kill();
  await mesh.close();
});

/** The caller's proxy here, and two of the service as processes of their own. */
async function start(byHbone: boolean): Promise<void> {
  mesh = await TestMesh.start();
  const [port, hbone] = [await freePort(), await freePort()];
  // Long enough that calls are in flight whenever a proxy is told to stop.
  const app = await mesh.app((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const body = Buffer.concat(chunks);
      res.write(body.subarray(0, body.length / 2));
      setTimeout(() => res.end(body.subarray(body.length / 2)), 20);
    });
  });
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('out')}` }] });
  addService(client, 'pay', 'api', 'http', Object.values(HOSTS).map((address) => ({ port, spiffeId: workloadUri('pay', 'api'), address, hbone: byHbone ? hbone : null })));
  await mesh.proxy('a');
  await mesh.configure('a', client);
  servers = new Map(Object.entries(HOSTS).map(([name, address]) => [name, async () => {
    const entries = baseEntries(mesh.operator.ca.root);
    addWorkload(entries, 'pay', 'api', { address, hbonePort: byHbone ? hbone : 0, inbound: [{ port, protocol: 'http', app }] }, { port });
    const child = new ChildProxy(mesh, name);
    running.set(name, child);
    mesh.operator.reports.length = 0;
    await child.configure(entries);
    await until(`SVIDs of ${name}`, () => mesh.operator.reports.some(({ svids }) => svids.length === 2 && svids.some(({ spiffeId }) => spiffeId.endsWith(`/proxy/${name}`))));
    return child;
  }]));
  for (const begin of servers.values()) await begin();
}

function byHttp1(method: string): Promise<boolean> {
  return new Promise((resolve) => {
    let got = 0;
    const req = http.request({ agent, socketPath: mesh.socketPath('out'), method, headers: { host: 'api.pay' } }, (res) => {
      res.on('data', ({ length }: Buffer) => (got += length)).on('error', () => undefined).on('close', () => resolve(res.statusCode === 200 && got === (method === 'POST' ? BODY.length : 0)));
    });
    req.on('error', () => resolve(false)).end(method === 'POST' ? BODY : undefined);
  });
}

function byHttp2(): Promise<boolean> {
  session ??= http2.connect('http://api.pay', { createConnection: () => net.connect(mesh.socketPath('out')) }).on('error', () => undefined);
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  return new Promise((resolve) => {
    let [got, status] = [0, 0];
    stream.on('response', (headers) => (status = Number(headers[':status']))).on('data', ({ length }: Buffer) => (got += length));
    stream.on('error', () => undefined).on('close', () => resolve(status === 200 && got === BODY.length)).end(BODY);
  });
}

describe.each<[name: string, byHbone: boolean, call: () => Promise<boolean>]>([
  ['HTTP/1.1 by HBONE, what may not be sent twice', true, () => byHttp1('POST')],
  ['HTTP/1.1 by the service’s port, what may be', false, () => byHttp1('GET')],
  ['HTTP/2 by HBONE, what may not be sent twice', true, byHttp2],
])('%s', (_name, byHbone, call) => {
  it('fails not while a proxy is ended by SIGTERM and comes back', async () => {
    await start(byHbone);
    await until('a call', call);
    const counts = { calls: 0, failed: 0, going: true };
    const worker = async () => {
      while (counts.going) {
        if (!(await call())) counts.failed += 1;
        counts.calls += 1;
      }
    };
    const workers = Promise.all(Array.from({ length: 4 }, worker));
    const more = async (calls: number) => {
      const before = counts.calls;
      await until('more calls', () => counts.calls >= before + calls);
    };
    for (const [name, begin] of servers) {
      // Until HBONE is there calls go by kept connections of HTTP/1.1, of which RFC 9112 §9.5 says that either side may close them at any time.
      if (byHbone) await until('HBONE to both', async () => (await mesh.metric('a', 'sallyport_proxy_hbone_connections{side="outbound"}')) >= 2);
      await more(30);
      expect(await running.get(name)?.stop()).toBe(0);
      await more(30);
      await begin();
    }
    await more(30);
    counts.going = false;
    await workers;
    expect(counts.failed).toBe(0);
  }, TEST_MS);
});
