import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addService, addWorkload, baseEntries, type Entries, freePort, TestMesh, until } from '../../test/mesh.ts';

const WORKERS = 4;
const HOSTS = { b: '127.0.0.31', c: '127.0.0.32' } as const;

let mesh: TestMesh;
let client: Entries;
let servers: Map<string, Entries>;

beforeEach(async () => {
  mesh = await TestMesh.start();
  // SVIDs that are renewed every second and never run out.
  mesh.operator.lifetime = 40_000;
  mesh.operator.renewShare = 0.025;
  const [port, hbone] = [await freePort(), await freePort()];
  const app = await mesh.tcpApp((socket) => {
    socket.on('data', () => socket.write('pong'));
    socket.on('end', () => socket.end());
  });
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'tcp', listen: `unix:${mesh.socketPath('db')}`, service: 'db', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'db', 'tcp', Object.values(HOSTS).map((address) => ({ port, spiffeId: workloadUri('pay', 'db'), address, hbone })));
  servers = new Map(Object.entries(HOSTS).map(([name, address]) => {
    const entries = baseEntries(mesh.operator.ca.root);
    addWorkload(entries, 'pay', 'db', { address, hbonePort: hbone, inbound: [{ port, protocol: 'tcp', app }] }, { port });
    return [name, entries];
  }));
  await Promise.all(['a', ...servers.keys()].map((name) => mesh.proxy(name)));
  await Promise.all([mesh.configure('a', client), ...[...servers].map(([name, entries]) => mesh.configure(name, entries))]);
});
afterEach(() => mesh.close());

/** One call: true when it was answered and ended in good order. */
function call(): Promise<boolean> {
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

function load(): Load {
  const counts = { calls: 0, failed: 0, going: true };
  const worker = async () => {
    while (counts.going) {
      const good = await call();
      counts.calls += 1;
      if (!good) counts.failed += 1;
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

const streamsOf = (proxy: string) => mesh.metric(proxy, 'sallyport_proxy_hbone_connections{side="inbound"}');

it('fails no call while SVIDs are renewed', async () => {
  const running = load();
  await until('HBONE to both', async () => (await streamsOf('b')) > 0 && (await streamsOf('c')) > 0);
  const before = mesh.operator.issued;
  // Proxies and workloads of all three: two rounds at least.
  await until('renewals', () => mesh.operator.issued >= before + 12);
  await more(running, 100);
  await running.stop();
  expect(running.failed).toBe(0);
  expect(await streamsOf('b')).toBeGreaterThan(0);
});

it('fails no call while proxies restart one after the other', async () => {
  const running = load();
  for (const [name, entries] of servers) {
    await until(`HBONE to ${name}`, async () => (await streamsOf(name)) > 0);
    await more(running, 50);
    await mesh.stopProxy(name);
    await more(running, 50);
    await mesh.proxy(name);
    await mesh.configure(name, entries);
    await more(running, 50);
  }
  await running.stop();
  expect(running.failed).toBe(0);
});
