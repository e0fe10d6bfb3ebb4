import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { ApiRelay } from '../testing/api-relay.ts';
import { testCluster } from '../testing/cluster.ts';
import { until } from '../testing/until.ts';
import { KubeClient } from './client.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';

const NAMESPACE = 'reflector';
const PATH = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
const direct = new KubeClient(testCluster());

let relay: ApiRelay;
let changes: string[];
let troubles: unknown[];
let reflector: Reflector | null = null;

beforeAll(() => direct.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: NAMESPACE } } }));
beforeEach(async () => {
  await direct.request({ method: 'DELETE', path: PATH });
  relay = await ApiRelay.to(inject('kubeconfig'));
  changes = [];
  troubles = [];
});
afterEach(async () => {
  await reflector?.stop();
  relay.close();
});
afterAll(() => direct.request({ method: 'DELETE', path: `/api/v1/namespaces/${NAMESPACE}` }));

const key = (name: string) => `${NAMESPACE}/${name}`;
const make = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) => direct.request({ method: 'POST', path: PATH, body: { metadata: { name, labels }, data } });
const change = (name: string, data: Record<string, string>) => direct.request({ method: 'PATCH', path: `${PATH}/${name}`, contentType: 'application/merge-patch+json', body: { data } });
const remove = (name: string) => direct.request({ method: 'DELETE', path: `${PATH}/${name}` });

function follow(options: Partial<ReflectorOptions> = {}): Reflector {
  reflector = new Reflector(new KubeClient(relay.config), { path: PATH, onChange: (name) => changes.push(name), trouble: (error) => troubles.push(error), ...options });
  return reflector;
}
const names = () => [...(reflector?.store.keys() ?? [])].sort();
const seen = (name: string) => until(() => Promise.resolve(changes.filter((item) => item === key(name)).length), (count) => count > 0);
const watched = (count = 1) => until(() => Promise.resolve(relay.seen.filter((url) => url.includes('watch=1')).length >= count && relay.watches > 0), (good) => good);

it('lists, then follows, and finds by index', async () => {
  await make('a', {}, { team: 'red' });
  const { store, synced } = follow({ indexes: { team: ({ metadata }) => [(metadata['labels'] as Record<string, string> | undefined)?.['team'] ?? ''] } });
  await synced;
  expect(changes).toEqual([key('a')]);
  await make('b', {}, { team: 'red' });
  await seen('b');
  expect(store.by('team', 'red').map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
  await remove('a');
  await until(() => Promise.resolve(store.size), (size) => size === 1);
  expect(store.by('team', 'red').map(({ metadata }) => metadata.name)).toEqual(['b']);
  expect(changes).toEqual([key('a'), key('b'), key('a')]);
  expect(() => store.by('node', 'x')).toThrow(/no index "node"/);
});

it('misses and repeats nothing when its connection is cut again and again in mid-stream', async () => {
  await follow().synced;
  for (let i = 0; i < 30; i += 1) {
    await make(`c${i}`);
    if (i % 5 === 4) relay.cut();
  }
  await until(() => Promise.resolve(changes.length), (count) => count >= 30);
  expect(names()).toHaveLength(30);
  expect([...changes].sort()).toEqual(names());
  // One list is all: a cut watch goes on from where it was.
  expect(relay.seen.filter((url) => !url.includes('watch=1'))).toHaveLength(1);
});

it('waits out 500s and connections that are refused, for lists as for watches', async () => {
  let faults = 8;
  relay.fault = () => (faults-- > 0 ? (faults % 2 === 0 ? { status: 500 } : 'cut') : null);
  await make('early');
  await follow().synced;
  faults = 3;
  relay.cut();
  await make('late');
  await seen('late');
  expect(changes).toEqual([key('early'), key('late')]);
  expect(troubles.length).toBeGreaterThan(0);
});

it('asks again no sooner than Retry-After says', async () => {
  const asked: number[] = [];
  relay.fault = ({ url }) => {
    if (!url?.includes('watch=1')) return null;
    asked.push(Date.now());
    return asked.length === 1 ? { status: 429, headers: { 'retry-after': '1' }, reason: 'TooManyRequests' } : null;
  };
  await follow().synced;
  await watched(2);
  await make('after');
  await seen('after');
  expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThanOrEqual(990);
});

it('lists again after 410 Gone and tells only what changed meanwhile, by UID and version', async () => {
  for (const name of ['same', 'changed', 'gone', 'replaced']) await make(name);
  await follow().synced;
  await watched();
  const before = reflector?.store.get(key('replaced'))?.metadata.uid;
  changes.length = 0;
  relay.fault = () => 'cut';
  relay.cut();
  await Promise.all([change('changed', { x: '1' }), remove('gone'), remove('replaced').then(() => make('replaced')), make('new')]);
  let expired = false;
  relay.fault = ({ url }) => {
    if (expired || !url?.includes('watch=1')) return null;
    expired = true;
    return { status: 410, reason: 'Expired' };
  };
  await until(() => Promise.resolve(new Set(changes).size), (count) => count === 4);
  await make('end');
  await seen('end');
  expect([...changes].sort()).toEqual(['changed', 'end', 'gone', 'new', 'replaced'].map(key));
  expect(reflector?.store.get(key('replaced'))?.metadata.uid).not.toBe(before);
  expect(names()).toEqual(['changed', 'end', 'new', 'replaced', 'same'].map(key));
});

it('notices a watch that has fallen silent and goes on from where it was', async () => {
  await follow({ idleMs: 500 }).synced;
  await watched();
  relay.hush();
  await make('unheard');
  await seen('unheard');
  expect(changes).toEqual([key('unheard')]);
});

it('gives up a request that is never answered when it is stopped', async () => {
  relay.fault = () => 'silence';
  const { hasSynced } = follow();
  await until(() => Promise.resolve(relay.seen.length), (count) => count > 0);
  await reflector?.stop();
  expect(hasSynced).toBe(false);
  const { length } = relay.seen;
  await delay(50);
  expect(relay.seen).toHaveLength(length);
});
