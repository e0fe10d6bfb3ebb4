import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CaView } from '@sallyport/shared/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../store/postgres/client.ts';
import { ClusterPods, type TestPod } from '../../testing/cluster-pods.ts';
import { startOperator, type TestOperator } from '../../testing/operator.ts';
import { startOwnCluster } from '../../testing/own-cluster.ts';
import { WireProxy } from '../../testing/proxy.ts';
import { until } from '../../testing/until.ts';
import { connectCluster } from '../connect.ts';

const WEB: TestPod = { namespace: 'shop', name: 'web-1', serviceAccount: 'web', node: 'node-a', ips: ['10.1.0.1'], injected: true };
const API: TestPod = { namespace: 'shop', name: 'api.v2-1', serviceAccount: 'api', node: 'node-b', ips: ['10.1.0.2'], injected: true };
const NODE_PROXY: TestPod = { namespace: 'sallyport-system', name: 'node-proxy-1', serviceAccount: 'node-proxy', node: 'node-a', ips: ['10.1.0.3'] };

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
let operator: TestOperator;
let pods: ClusterPods;
const proxies: WireProxy[] = [];

beforeAll(async () => {
  cluster = await startOwnCluster();
  pods = new ClusterPods(connectCluster(cluster.kubeconfig));
  await pods.namespace('sallyport-system', ['node-proxy']);
  await pods.namespace('shop', ['web', 'api']);
  operator = await startOperator({ environment: { SALLYPORT_STORE: 'kubernetes', KUBECONFIG: cluster.kubeconfig, SALLYPORT_NAMESPACE: 'sallyport-system', SALLYPORT_POD_NAME: 'operator-0', SALLYPORT_WEBHOOK_PORT: '0' } });
  for (const pod of [WEB, API, NODE_PROXY]) await pods.pod(pod);
});
afterAll(async () => {
  for (const proxy of proxies) proxy.close();
  await operator?.close();
  await cluster?.stop();
});

function proxyOf({ name, namespace }: Pick<TestPod, 'name' | 'namespace'>): WireProxy {
  const proxy = new WireProxy(`${name}.${namespace}`, operator);
  proxies.push(proxy);
  return proxy;
}

/** The status, and what was said, which never holds the token. */
async function refusal(proxy: WireProxy, token: string, role: 'node' | 'sidecar' = 'sidecar'): Promise<string> {
  const { status, body } = await proxy.attest(token, role);
  const text = JSON.stringify(body);
  for (const part of token.split('.')) expect(text).not.toContain(part);
  return `${status} ${(body as { error?: { message: string } }).error?.message ?? 'SVID'}`;
}

/** What an answer says against it; 'SVID' and its identity when it is one. */
function said({ status, body }: { status: number; body: unknown }): string {
  const { error, spiffeId } = body as { error?: { message: string }; spiffeId?: string };
  return `${status} ${error?.message ?? spiffeId ?? ''}`;
}

/** The same claims but for these, signed by the same key of the API server. */
function resigned(token: string, change: object): string {
  const [header = '', payload = ''] = token.split('.');
  const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), ...change };
  const text = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  const key = createPrivateKey(readFileSync(join(dirname(cluster.kubeconfig), 'certs', 'service-accounts.key')));
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

describe('a token of a pod', () => {
  it('gives its sidecar an SVID, and that the identity of the pod, recorded with pod, UID and node', async () => {
    const proxy = proxyOf(WEB);
    expect(said(await proxy.attest(await pods.token(WEB)))).toBe('200 spiffe://shop.test/sallyport/proxy/web-1.shop');
    const own = { namespace: 'shop', name: 'web-1' };
    expect(said(await until(() => proxy.svidOf(own), ({ status }) => status === 200))).toBe('200 spiffe://shop.test/ns/shop/sa/web');
    expect(said(await proxy.svidOf(null))).toBe('200 spiffe://shop.test/sallyport/proxy/web-1.shop');
    const { metadata: { uid } } = JSON.parse(await cluster.kubectl(['get', 'pod', '-n', 'shop', 'web-1', '-o', 'json'])) as { metadata: { uid: string } };
    const database = openDatabase(operator.databaseUrl);
    const rows = await database.certificate.findMany({ where: { proxy: proxy.name }, orderBy: { seq: 'asc' }, select: { attestation: true, pod: true, podUid: true, node: true, workload: true } });
    await database.$disconnect();
    const where = { pod: 'shop/web-1', podUid: uid, node: 'node-a' };
    expect(rows).toEqual([{ attestation: 'k8s_tokenreview', workload: null, ...where }, { attestation: 'served-by-proxy', workload: 'web-1', ...where }, { attestation: 'svid', workload: null, ...where }]);
    const view = (await operator.call('GET', '/ca')).body as CaView;
    expect([view.record, view.issuance.issued['k8s_tokenreview']]).toEqual(['intact', 1]);
  });

  it('of a pod whose name is no label serves as well', async () => {
    const proxy = proxyOf(API);
    expect(said(await proxy.attest(await pods.token(API)))).toBe('200 spiffe://shop.test/sallyport/proxy/api.v2-1.shop');
    const { items } = (await operator.call('GET', '/resources/Workload?namespace=shop')).body as { items: { metadata: { name: string }; spec: { proxy?: string } }[] };
    const name = items.find(({ spec }) => spec.proxy === 'api.v2-1.shop')?.metadata.name ?? '';
    expect(name).toMatch(/^api-v2-1-[0-9a-f]{8}$/);
    expect(said(await proxy.svidOf({ namespace: 'shop', name }))).toBe('200 spiffe://shop.test/ns/shop/sa/api');
  });

  it('is refused when it is for another audience, has expired, is of no pod or is no token at all', async () => {
    const proxy = proxyOf(WEB);
    const good = await pods.token(WEB);
    const past = Math.floor(Date.now() / 1000) - 7_200;
    expect(await refusal(proxy, await pods.token(WEB, { audiences: ['vault'] }))).toMatch(/^401 .*another audience.*audience sallyport\.dev/);
    expect(await refusal(proxy, await pods.token(WEB, { audiences: [] }))).toMatch(/^401 .*another audience/);
    expect(await refusal(proxy, resigned(good, { iat: past, nbf: past, exp: past + 3_600 }))).toMatch(/^401 .*expired.*read the file again/);
    expect(await refusal(proxy, await pods.token(WEB, { bound: false }))).toMatch(/^401 .*bound to no pod; use the projected volume/);
    expect(await refusal(proxy, 'not-a-token-that-anybody-made')).toMatch(/^401 .*no service account token/);
    expect(await refusal(proxy, `${good.slice(0, good.lastIndexOf('.'))}.${Buffer.alloc(64, 7).toString('base64url')}`)).toMatch(/^401 .*does not accept/);
    // The same way makes a good one, so that it was not the signature.
    expect(await refusal(proxy, resigned(good, {}))).toBe('200 SVID');
  });

  it('of one pod makes nobody another', async () => {
    expect(await refusal(proxyOf(WEB), await pods.token(API))).toMatch(/^403 the token is that of api\.v2-1\.shop on node node-b, not of web-1\.shop; set SALLYPORT_PROXY/);
    expect(await refusal(proxyOf(WEB), await pods.token(WEB), 'node')).toMatch(/^403 .*role node runs in namespace sallyport-system, not in shop; set SALLYPORT_ROLE=sidecar/);
  });
});

describe('a pod that is gone', () => {
  const GONE: TestPod = { namespace: 'shop', name: 'gone-1', serviceAccount: 'web', node: 'node-a', ips: ['10.1.0.9'], injected: true };
  const own = { namespace: 'shop', name: 'gone-1' };

  it('gets nothing by its token nor by its SVID, and neither does its namesake by what was before', async () => {
    await pods.pod(GONE);
    const proxy = proxyOf(GONE);
    const token = await pods.token(GONE);
    expect(await refusal(proxy, token)).toBe('200 SVID');
    expect((await until(() => proxy.svidOf(own), ({ status }) => status === 200)).status).toBe(200);
    await pods.remove('shop', 'gone-1');
    expect(await until(async () => said(await proxy.svidOf(null)), (text) => text.startsWith('403'))).toMatch(/^403 pod shop\/gone-1 is not in the cluster any more/);
    expect(said(await proxy.svidOf(own))).toMatch(/^403 pod shop\/gone-1/);
    // At once, though the API server remembers for ten seconds that it found a token good.
    expect(await refusal(proxy, token)).toMatch(/^401 .*(is gone or was made anew; restart the pod|is not in the cluster any more)/);
    await pods.pod(GONE);
    expect(await until(async () => said(await proxy.svidOf(own)), (text) => text.includes('anew'))).toMatch(/^403 pod shop\/gone-1 was made anew since this proxy attested; attest by the token of the new pod/);
    expect(await refusal(proxy, token)).toMatch(/^401 /);
    expect(await refusal(proxy, await pods.token(GONE))).toBe('200 SVID');
    expect(said(await proxy.svidOf(own))).toBe('200 spiffe://shop.test/ns/shop/sa/web');
  });

  it('is one that has ended', async () => {
    const ended = { ...GONE, name: 'job-1', ips: ['10.1.0.10'] };
    await pods.pod(ended);
    const proxy = proxyOf(ended);
    expect(await refusal(proxy, await pods.token(ended))).toBe('200 SVID');
    await pods.status('shop', 'job-1', { phase: 'Succeeded' });
    expect(await until(async () => said(await proxy.svidOf(null)), (text) => text.startsWith('403'))).toMatch(/^403 pod shop\/job-1 has ended/);
  });
});

describe('a Workload resource', () => {
  const workload = (name: string, serviceAccount: string, proxy: string) =>
    cluster.kubectl(['apply', '-f', '-'], { apiVersion: 'sallyport.dev/v1alpha1', kind: 'Workload', metadata: { name, namespace: 'shop' }, spec: { serviceAccount, proxy, address: '10.1.0.50', inbound: [{ port: 80, protocol: 'http', app: '127.0.0.1:80' }] } });

  it('gives the proxy of a node no identity that does not run there', async () => {
    const proxy = proxyOf(NODE_PROXY);
    expect(await refusal(proxy, await pods.token(API), 'node')).toMatch(/^403 the token is that of api\.v2-1\.shop on node node-b, not of node-proxy-1\.sallyport-system/);
    expect(await refusal(proxy, await pods.token(NODE_PROXY), 'node')).toBe('200 SVID');
    await workload('here', 'web', proxy.name);
    await workload('there', 'api', proxy.name);
    expect(said(await until(() => proxy.svidOf({ namespace: 'shop', name: 'here' }), ({ status }) => status === 200))).toBe('200 spiffe://shop.test/ns/shop/sa/web');
    expect(await until(async () => said(await proxy.svidOf({ namespace: 'shop', name: 'there' })), (text) => text.includes('node-a'))).toMatch(/^403 no pod with service account shop\/api runs on node node-a of this proxy; ask the proxy of the node that runs it/);
  });

  it('gives a sidecar no identity but that of its pod', async () => {
    const proxy = proxyOf(WEB);
    expect(await refusal(proxy, await pods.token(WEB))).toBe('200 SVID');
    await workload('mine', 'api', proxy.name);
    expect(await until(async () => said(await proxy.svidOf({ namespace: 'shop', name: 'mine' })), (text) => text.includes('service account'))).toMatch(/^403 pod shop\/web-1 has service account shop\/web, not shop\/api; run the workload in a pod/);
  });
});
