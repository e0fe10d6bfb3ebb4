import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addService, addWorkload, baseEntries, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';

const WORKERS = 3;
/** Between the calls of a worker: there must be time for everything else on a busy machine. */
const REST_MS = 10;
const TEST_MS = 120_000;
const HOSTS = { b: '127.0.0.31', c: '127.0.0.32' } as const;

let mesh: TestMesh;
let client: Entries;
let servers: Map<string, Entries>;

async function start(protocol: 'http' | 'tcp'): Promise<void> {
  mesh = await TestMesh.start();
  // SVIDs that are renewed every two seconds and never run out.
  mesh.operator.lifetime = 200_000;
  mesh.operator.renewShare = 0.01;
  const [port, hbone] = [await freePort(), await freePort()];
  const app = await (protocol === 'http' ? httpApp() : tcpApp());
  const listen = `unix:${mesh.socketPath('db')}`;
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [protocol === 'http' ? { protocol, listen } : { protocol, listen, service: 'db', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'db', protocol, Object.values(HOSTS).map((address) => ({ port, spiffeId: workloadUri('pay', 'db'), address, hbone })));
  servers = new Map(Object.entries(HOSTS).map(([name, address]) => {
    const entries = baseEntries(mesh.operator.ca.root);
    addWorkload(entries, 'pay', 'db', { address, hbonePort: hbone, inbound: [{ port, protocol, app }] }, { port });
    return [name, entries];
  }));
  await Promise.all(['a', ...servers.keys()].map((name) => mesh.proxy(name)));
  await Promise.all([mesh.configure('a', client), ...[...servers].map(([name, entries]) => mesh.configure(name, entries))]);
}
const agent = new http.Agent({ keepAlive: true });
afterEach(async () => {
  agent.destroy();
  await mesh.close();
});

function tcpApp(): Promise<string> {
  return mesh.tcpApp((socket) => {
    socket.on('data', () => socket.write('pong'));
    socket.on('end', () => socket.end());
  });
}

/** Answers a request with its body, half at once and the rest a little later. */
function httpApp(): Promise<string> {
  return mesh.app((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks);
      res.write(body.subarray(0, body.length / 2));
      setTimeout(() => res.end(body.subarray(body.length / 2)), 3);
    });
  });
}

/** A POST, which nobody may send twice: true when its whole body came back. */
function post(): Promise<boolean> {
  const body = 'x'.repeat(20_000);
  return new Promise((resolve) => {
    const req = http.request({ agent, socketPath: mesh.socketPath('db'), method: 'POST', headers: { host: 'db.pay' } }, (res) => {
      let got = '';
      res.on('data', (chunk: Buffer) => {
        got += chunk.toString();
      });
      res.on('error', () => undefined);
      res.on('close', () => resolve(res.statusCode === 200 && got === body));
    });
    req.on('error', () => resolve(false));
    req.end(body);
  });
}

/** One connection: true when it was answered and ended in good order. */
function connection(): Promise<boolean> {
  return new Promise((resolve) => {
    let answered = false;
    let good = false;
    const socket = net.connect({ path: mesh.socketPath('db'), allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.on('data', () => {
      answered = true;
      socket.end();
    });
    socket.once('end', () => {
      good = answered;
      socket.end();
    });
    socket.once('close', () => resolve(good));
    socket.write('ping');
  });
}

interface Load {
  calls: number;
  failed: number;
  stop(): Promise<void>;
}

function load(call: () => Promise<boolean>): Load {
  const counts = { calls: 0, failed: 0, going: true };
  const worker = async () => {
    while (counts.going) {
      const good = await call();
      counts.calls += 1;
      if (!good) counts.failed += 1;
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
  };
  const workers = Promise.all(Array.from({ length: WORKERS }, worker));
  return Object.assign(counts, {
    stop: async () => {
      counts.going = false;
      await workers;
    },
  });
}

/** Waits for so many more calls. */
async function more(running: Load, calls: number): Promise<void> {
  const before = running.calls;
  await until(`${calls} more calls`, () => running.calls >= before + calls);
}

const connectionsOf = (proxy: string) => mesh.metric(proxy, 'sallyport_proxy_hbone_connections{side="inbound"}');

describe.each([['tcp', connection], ['http', post]] as const)('%s', (protocol, call) => {
  it('fails no call while SVIDs are renewed', async () => {
    await start(protocol);
    const running = load(call);
    await until('HBONE to both', async () => (await connectionsOf('b')) > 0 && (await connectionsOf('c')) > 0);
    const before = mesh.operator.issued;
    // Proxies and workloads of all three: two rounds at least.
    await until('renewals', () => mesh.operator.issued >= before + 12);
    await more(running, 30);
    await until('HBONE still', async () => (await connectionsOf('b')) > 0);
    await running.stop();
    expect(running.failed).toBe(0);
  }, TEST_MS);

  it('fails no call while proxies restart one after the other', async () => {
    await start(protocol);
    const running = load(call);
    for (const [name, entries] of servers) {
      await until(`HBONE to ${name}`, async () => (await connectionsOf(name)) > 0);
      await more(running, 30);
      await mesh.stopProxy(name);
      await more(running, 30);
      await mesh.proxy(name);
      await mesh.configure(name, entries);
      await more(running, 30);
    }
    await running.stop();
    expect(running.failed).toBe(0);
  }, TEST_MS);
});
