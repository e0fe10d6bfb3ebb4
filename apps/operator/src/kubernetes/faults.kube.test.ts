import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ApiRelay } from '../testing/api-relay.ts';
import { startOwnCluster } from '../testing/own-cluster.ts';
import { until } from '../testing/until.ts';
import { KubeClient } from './client.ts';
import { connectCluster } from './connect.ts';
import { Reflector } from './reflector.ts';

const PATH = '/api/v1/namespaces/many/configmaps';
const MANY = 10_000;
const KIB = 1024;

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
let direct: KubeClient;
beforeAll(async () => {
  cluster = await startOwnCluster();
  direct = connectCluster(cluster.kubeconfig);
  await cluster.kubectl(['create', 'namespace', 'many']);
});
afterAll(() => cluster?.stop());

const make = (name: string, data: Record<string, string> = {}) => direct.request({ method: 'POST', path: PATH, body: { metadata: { name }, data } });

it('goes on over restarts of the API server: no change is missed and none is told twice', async () => {
  const changes: string[] = [];
  const reflector = new Reflector(direct, { path: PATH, onChange: (key) => changes.push(key), trouble: () => undefined });
  await reflector.synced;
  for (const round of [0, 1]) {
    for (let i = 0; i < 5; i += 1) await make(`restart-${round}-${i}`);
    // Killed, not asked to end: a watch hears nothing of it but a reset.
    await cluster.control.restartApiServer();
    await make(`after-${round}`);
  }
  await until(() => Promise.resolve(new Set(changes).size), (size) => size >= 12);
  expect([...changes].sort()).toEqual([...new Set(changes)].sort());
  expect([...reflector.store.keys()].sort()).toEqual([...changes].sort());
  await reflector.stop();
  await direct.request({ method: 'DELETE', path: PATH });
});

/** 32 at a time, with a KiB of content each. */
async function fill(): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < MANY) {
      const i = next;
      next += 1;
      await make(`c-${i}`, { text: String(i % 10).repeat(KIB) });
    }
  };
  await Promise.all(Array.from({ length: 32 }, one));
}

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

it('holds 10,000 objects in pages and in little more memory than what it was told to keep', async () => {
  await fill();
  const relay = await ApiRelay.to(cluster.kubeconfig);
  const before = heapUsed();
  let changes = 0;
  const reflector = new Reflector(new KubeClient(relay.config), {
    path: PATH, trouble: () => undefined,
    onChange: () => {
      changes += 1;
    },
    trim: ({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }) => ({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }),
  });
  await reflector.synced;
  expect([reflector.store.size, changes]).toEqual([MANY, MANY]);
  const lists = relay.seen.filter((url) => !url.includes('watch=1'));
  expect(lists).toHaveLength(MANY / 500);
  expect(lists.every((url) => url.includes('limit=500'))).toBe(true);
  // With content and managed fields an object has over 1.5 KiB; what is kept of it is a few strings.
  expect((heapUsed() - before) / MANY).toBeLessThan(KIB);

  // Lists all of it again, and tells nobody: nothing changed.
  const listed = relay.seen.length;
  let expired = false;
  relay.fault = ({ url }) => {
    if (expired || !url?.includes('watch=1')) return null;
    expired = true;
    return { status: 410, reason: 'Expired' };
  };
  relay.cut();
  await until(() => Promise.resolve(relay.seen.slice(listed).filter((url) => url.includes('watch=1')).length), (watches) => watches >= 2);
  await make('one-more');
  await until(() => Promise.resolve(changes), (count) => count > MANY);
  expect(changes).toBe(MANY + 1);
  await reflector.stop();
  relay.close();
}, 300_000);
