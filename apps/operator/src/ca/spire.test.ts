import { rmSync } from 'node:fs';
import https from 'node:https';
import type { ApiError, CaView, CertificatesView } from '@sallyport/shared/api';
import type { Mesh } from '@sallyport/shared/resources';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sallyport, scratch } from '../cli/test-server.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { WireProxy } from '../testing/proxy.ts';
import { until } from '../testing/until.ts';

const SOCKET = '/run/spire/agent.sock';
const WORKLOAD = { namespace: 'shop', name: 'web' };
let operator: TestOperator;
let proxy: WireProxy;

beforeAll(async () => {
  operator = await startOperator({ environment: { SALLYPORT_BUNDLE_PORT: '0' } });
  proxy = new WireProxy('node-1', operator);
  await proxy.enrol();
  await apply({ kind: 'Workload', metadata: WORKLOAD, spec: { serviceAccount: 'web', address: '127.0.0.1', proxy: 'node-1' } });
});
afterAll(async () => {
  proxy.close();
  await operator.close();
});

async function apply(...objects: object[]): Promise<void> {
  const manifest = objects.map((object) => JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', ...object })).join('\n---\n');
  const { status, body } = await operator.call('POST', '/apply', { manifest });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

const setCa = (ca: object) => apply({ kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: 'shop.test', ca } });
const ca = async () => (await operator.call('GET', '/ca')).body as CaView;
const svid = (workload: object | null) => until(() => proxy.call('/v1/svid', { workload, csr: proxy.csr() }), ({ status }) => status !== 403);

function bundleStatus(): Promise<number> {
  return new Promise((resolve, reject) => {
    https.get(operator.bundleUrl ?? '', { rejectUnauthorized: false, agent: false }, (answer) => resolve(answer.resume().statusCode ?? 0)).once('error', reject);
  });
}

it('with SPIRE no workload gets an SVID from us, proxies get their own, and everybody who asks is told', { timeout: 180_000 }, async () => {
  expect([(await svid(WORKLOAD)).status, await bundleStatus()]).toEqual([200, 200]);
  await setCa({ spire: { workloadApi: SOCKET } });
  const { parent } = await until(ca, (view) => view.parent.wanted === 'spire');
  expect(parent).toMatchObject({ status: 'True', reason: 'External', message: expect.stringContaining(`we hold no CA for workloads: the identities of this mesh come from SPIRE, and proxies take them from the Workload API at ${SOCKET}`) as string });

  const refused = await svid(WORKLOAD);
  expect([refused.status, refused.retryAfter, (refused.body as ApiError).error.message]).toEqual([503, 30, expect.stringContaining(SOCKET)]);
  const token = await proxy.call('/v1/jwt', { workload: WORKLOAD, audience: ['x'] });
  expect([token.status, (token.body as ApiError).error.message]).toEqual([503, expect.stringContaining(SOCKET)]);
  expect((await svid(null)).status).toBe(200);
  const newcomer = new WireProxy('node-2', operator);
  await newcomer.enrol();
  expect(newcomer.svid).not.toBeNull();
  newcomer.close();
  // What is served is what the proxy reports: nobody else knows.
  const now = Date.now();
  const held = { spiffeId: 'spiffe://shop.test/ns/shop/sa/web', serial: 'abc1', notBefore: now - 60_000, notAfter: now + 180_000, workload: WORKLOAD };
  expect((await proxy.report([], { svids: [held] })).status).toBe(200);
  const inventory = (await operator.call('GET', '/certificates')).body as CertificatesView;
  expect(inventory.items.filter(({ workload }) => workload !== null)).toEqual([expect.objectContaining({ spiffeId: held.spiffeId, serial: 'abc1', issuer: 'SPIFFE Workload API', state: 'served', nextRotation: new Date(now + 60_000).toISOString() })]);
  // Our root vouches for no workload: as the bundle of the trust domain it would let us forge SPIRE's.
  expect(await bundleStatus()).toBe(503);

  const mesh = await until(async () => (await operator.call('GET', '/resources/Mesh/default')).body as Mesh, (value) => value.status?.conditions?.some(({ reason }) => reason === 'External') ?? false);
  expect(mesh.status?.conditions?.find(({ type }) => type === 'CertificateAuthority')?.message).toContain(SOCKET);
  const folder = scratch();
  const status = await sallyport(['ca', 'status'], { SALLYPORT_STATE: folder, SALLYPORT_SERVER: operator.apiUrl, SALLYPORT_USERNAME: 'admin', SALLYPORT_PASSWORD: operator.password });
  expect([status.code, status.stderr]).toEqual([0, expect.stringContaining('parent spire: we hold no CA for workloads')]);
  rmSync(folder, { recursive: true });

  // Our own root goes on: proxies need it for their talk with us.
  expect((await operator.call('POST', '/ca/rotate-root', {})).status).toBe(200);
  await setCa({ selfSigned: {} });
  await until(ca, (view) => view.parent.wanted === 'selfSigned');
  expect([(await svid(WORKLOAD)).status, await bundleStatus()]).toEqual([200, 200]);
});
