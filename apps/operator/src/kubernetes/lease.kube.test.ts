import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { ApiRelay } from '../testing/api-relay.ts';
import { testCluster } from '../testing/cluster.ts';
import { until } from '../testing/until.ts';
import { KubeClient } from './client.ts';
import { Lease } from './lease.ts';

const NAMESPACE = 'lease';
const PATH = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
const TIMES = { leaseMs: 6_000, renewMs: 4_000, retryMs: 200 };
const direct = new KubeClient(testCluster());

let name = '';
let made = 0;
beforeAll(() => direct.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: NAMESPACE } } }));
beforeEach(() => {
  made += 1;
  name = `lease-${made}`;
});
afterAll(() => direct.request({ method: 'DELETE', path: `/api/v1/namespaces/${NAMESPACE}` }));

const contender = (identity: string, client = direct) => new Lease({ client, namespace: NAMESPACE, name, identity, times: TIMES, trouble: () => undefined });
const never = new AbortController().signal;
const read = () => direct.request({ method: 'GET', path: `${PATH}/${name}` }) as Promise<{ metadata: { labels?: object; annotations?: object; resourceVersion: string }; spec: Record<string, unknown> }>;

it('lets one lead, and the next at once when it is given back', async () => {
  const [a, b] = [contender('a'), contender('b')];
  await a.acquire(() => undefined, never);
  let second = false;
  const waiting = (async () => {
    await b.acquire(() => undefined, never);
    second = true;
  })();
  const { metadata } = await read();
  await until(async () => (await read()).metadata.resourceVersion, (version) => version !== metadata.resourceVersion);
  expect([a.leading, b.leading, second]).toEqual([true, false, false]);
  await a.release();
  await waiting;
  expect([a.leading, b.leading]).toEqual([false, true]);
  expect((await read()).spec).toMatchObject({ holderIdentity: 'b', leaseDurationSeconds: 6, leaseTransitions: 1 });
  await b.release();
});

it('never lets two lead: who cannot reach the API server gives up before another may take over', async () => {
  const relay = await ApiRelay.to(inject('kubeconfig'));
  const [cutOff, other] = [contender('cut-off', new KubeClient(relay.config)), contender('other')];
  let lost = false;
  await cutOff.acquire(() => {
    lost = true;
  }, never);
  const both: boolean[] = [];
  const watch = setInterval(() => both.push(cutOff.leading && other.leading), 5);
  relay.fault = () => 'silence';
  await other.acquire(() => undefined, never);
  await until(() => Promise.resolve(lost), (done) => done);
  clearInterval(watch);
  expect(lost).toBe(true);
  expect(both.length).toBeGreaterThan(10);
  expect(both).not.toContain(true);
  await Promise.all([cutOff.release(), other.release()]);
  expect((await read()).spec['holderIdentity']).toBe('');
  relay.close();
});

it('takes a lease whose holder is gone, and leaves what others wrote into the object', async () => {
  const old = { holderIdentity: 'gone', leaseDurationSeconds: 1, renewTime: '2026-01-01T00:00:00.000000Z', acquireTime: '2026-01-01T00:00:00.000000Z', leaseTransitions: 4 };
  await direct.request({ method: 'POST', path: PATH, body: { metadata: { name, labels: { team: 'mesh' }, annotations: { note: 'keep' } }, spec: old } });
  const lease = contender('next');
  lease.annotate({ 'sallyport.dev/address': '10.0.0.1' });
  await lease.acquire(() => undefined, never);
  const { metadata, spec } = await read();
  expect(metadata.annotations).toEqual({ note: 'keep', 'sallyport.dev/address': '10.0.0.1' });
  expect(metadata.labels).toEqual({ team: 'mesh' });
  expect(spec).toMatchObject({ holderIdentity: 'next', leaseTransitions: 5 });
  await lease.release();
});

it('loses to somebody who took it by force', async () => {
  const lease = contender('robbed');
  let lost = false;
  await lease.acquire(() => {
    lost = true;
  }, never);
  await direct.request({ method: 'PATCH', path: `${PATH}/${name}`, contentType: 'application/merge-patch+json', body: { spec: { holderIdentity: 'robber', renewTime: '2026-01-01T00:00:00.000000Z' } } });
  await until(() => Promise.resolve(lost), (done) => done);
  expect(lease.leading).toBe(false);
  await lease.release();
  expect((await read()).spec['holderIdentity']).toBe('robber');
});
