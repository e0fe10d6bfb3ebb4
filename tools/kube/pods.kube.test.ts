import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GraphView } from '@sallyport/shared/api';
import { INJECTION_ENABLED, INJECTION_LABEL } from '@sallyport/shared/push';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Pod, PodNetwork, PROXY_UID } from '../../apps/dataplane/test/pods.ts';
import { connectCluster } from '../../apps/operator/src/kubernetes/connect.ts';
import { ClusterPods, type TestPod } from '../../apps/operator/src/testing/cluster-pods.ts';
import { startOperator, type TestOperator } from '../../apps/operator/src/testing/operator.ts';
import { startOwnCluster } from '../../apps/operator/src/testing/own-cluster.ts';
import { WireProxy } from '../../apps/operator/src/testing/proxy.ts';
import { Relay } from '../../apps/operator/src/testing/relay.ts';
import { until } from '../../apps/operator/src/testing/until.ts';

const DATA_PLANE = join(import.meta.dirname, '../../apps/dataplane/src/main.ts');
/** Processes by the dozen start here; a loaded machine takes its time for each. */
const PATIENCE_MS = 240_000;
const PAGE = 'the page of the api\n';
const API_VERSION = 'sallyport.dev/v1alpha1';

interface Read {
  readonly status?: { readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[] };
}
interface Running {
  readonly pod: TestPod;
  readonly network: Pod;
}

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
let operator: TestOperator;
let pods: ClusterPods;
let directory: string;
let join_: { relay: Relay; url: string };
let stream: { relay: Relay; url: string };
const network = new PodNetwork();
const running = new Map<string, Running>();

const from = (name: string): Running => running.get(name) ?? ({} as never);
/** By curl, which knows nothing of proxies. @returns status and body; 000 when there was no answer */
const call = async (name: string, url: string) => (await network.run(from(name).network, 'curl', '-s', '--max-time', '20', '-w', '%{http_code}', url)).stdout;
const conditions = async (kind: string, name: string) => {
  const { status } = JSON.parse(await cluster.kubectl(['get', `${kind}.sallyport.dev`, '-n', 'shop', name, '-o', 'json'])) as Read;
  return Object.fromEntries((status?.conditions ?? []).map(({ type, status: value }) => [type, value]));
};
const apply = (kind: string, name: string, spec: object) => cluster.kubectl(['apply', '-f', '-'], { apiVersion: API_VERSION, kind, metadata: { name, namespace: 'shop' }, spec });
const workloads = async () => ((await operator.call('GET', '/resources/Workload?namespace=shop')).body as { items?: { metadata: { name: string }; status?: Read['status'] }[] }).items ?? [];

/** The proxy as the injector would start it, under its own user, with the token that a kubelet would have mounted. */
async function startSidecar({ pod, network: place }: Running): Promise<void> {
  const own = join(directory, pod.name);
  mkdirSync(join(own, 'state'), { recursive: true, mode: 0o755 });
  chownSync(join(own, 'state'), PROXY_UID, PROXY_UID);
  writeFileSync(join(own, 'token'), await pods.token(pod));
  expect(await network.redirect(place, 'apply')).toEqual({ code: 0, stdout: '', stderr: '' });
  const child = network.startAsProxy(place, [process.execPath, DATA_PLANE], {
    SALLYPORT_PROXY: `${pod.name}.${pod.namespace}`, SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: 'shop.test', SALLYPORT_JOIN_URL: join_.url, SALLYPORT_STREAM_URL: stream.url,
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: join(operator.stateDir, 'bundle.pem'), SALLYPORT_STATE_DIR: join(own, 'state'), SALLYPORT_TOKEN_FILE: join(own, 'token'), SALLYPORT_REPORT_INTERVAL: '200ms', SALLYPORT_LOG_LEVEL: 'warn',
  });
  for (const output of [child.stdout, child.stderr]) output?.on('data', (chunk: Buffer) => process.env['SHOW_PROXIES'] && process.stderr.write(`${pod.name}: ${chunk.toString()}`));
}

async function add(name: string, serviceAccount: string, injected: boolean): Promise<Running> {
  const place = network.add(name);
  // Where a cluster IP leads without the mesh: nowhere here, but the kernel has to find it a way before a rule redirects it.
  expect((await network.run(place, 'ip', 'route', 'add', 'default', 'via', network.host)).code).toBe(0);
  const pod = { namespace: 'shop', name: `${name}-1`, serviceAccount, node: 'node-a', ips: [place.v4], labels: { app: name }, ports: [{ name: 'web', containerPort: 8080 }], injected };
  const one = { pod, network: place };
  running.set(name, one);
  await pods.pod(pod);
  return one;
}

async function start(): Promise<void> {
  network.open();
  cluster = await startOwnCluster();
  pods = new ClusterPods(connectCluster(cluster.kubeconfig));
  await pods.namespace('sallyport-system');
  await pods.namespace('shop', ['api', 'web', 'other', 'rogue'], { [INJECTION_LABEL]: INJECTION_ENABLED });
  operator = await startOperator({ environment: { SALLYPORT_STORE: 'kubernetes', KUBECONFIG: cluster.kubeconfig, SALLYPORT_NAMESPACE: 'sallyport-system', SALLYPORT_POD_NAME: 'operator-0', SALLYPORT_WEBHOOK_PORT: '0' } });
  chmodSync(operator.stateDir, 0o711);
  [join_, stream] = [await Relay.to(operator.joinUrl, network.host), await Relay.to(operator.streamUrl, network.host)];
  await cluster.kubectl(['apply', '-f', '-'], { apiVersion: 'v1', kind: 'Service', metadata: { name: 'api', namespace: 'shop' }, spec: { selector: { app: 'api' }, ports: [{ name: 'http', port: 80, targetPort: 'web' }] } });
  const site = join(directory, 'site');
  mkdirSync(site);
  writeFileSync(join(site, 'page'), PAGE);
  const api = await add('api', 'api', true);
  network.start(api.network, ['python3', '-u', '-m', 'http.server', '8080', '--bind', '0.0.0.0', '--directory', site]);
  const callers = [await add('web', 'web', true), await add('other', 'other', true)];
  await add('rogue', 'rogue', false);
  for (const one of [api, ...callers]) await startSidecar(one);
}

describe.skipIf(PodNetwork.isSkipped('pods of a cluster with their proxies'))('the pods of a cluster', { timeout: PATIENCE_MS }, () => {
  let service: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sallyport-pods-'));
    chmodSync(directory, 0o755);
    await start();
    service = `http://${(await cluster.kubectl(['get', 'service', '-n', 'shop', 'api', '-o', 'jsonpath={.spec.clusterIP}'])).trim()}/page`;
  }, PATIENCE_MS);
  afterAll(async () => {
    await network.close();
    for (const one of [join_, stream]) one?.relay.close();
    await operator?.close();
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('are workloads of the mesh as soon as their proxies have proved by their tokens where they run', async () => {
    const programmed = await until(workloads, (all) => all.filter(({ status }) => status?.conditions.some(({ type, status: value }) => type === 'Programmed' && value === 'True')).length === 3);
    expect(programmed.map(({ metadata, status }) => `${metadata.name} ${status?.conditions.find(({ type }) => type === 'Programmed')?.message}`)).toEqual(['api-1 all 1 proxies run it', 'other-1 all 1 proxies run it', expect.stringMatching(/^rogue-1 no proxy serves it: it was made before its namespace took part/), 'web-1 all 1 proxies run it']);
  });

  it('call a service by its cluster IP without knowing of the mesh, and a plaintext caller is shown by its address and not as secure', async () => {
    expect(await until(() => call('web', service), (text) => text.endsWith('200'))).toBe(`${PAGE}200`);
    expect(await call('rogue', `http://${from('api').network.v4}:8080/page`)).toBe(`${PAGE}200`);
    const edges = await until(async () => ((await operator.call('GET', '/graph?window=1h')).body as GraphView).edges ?? [], (all) => all.filter(({ requests }) => requests > 0).length >= 2);
    const seen = Object.fromEntries(edges.map(({ source, mtls }) => [source, mtls]));
    expect(seen['workload:shop/web-1']).toMatchObject({ plaintext: 0, unknown: 0 });
    expect(seen['workload:shop/web-1']?.mutual).toBeGreaterThan(0);
    expect(seen['workload:shop/rogue-1']).toMatchObject({ mutual: 0, plaintext: 1 });
  });

  it('obey policies that kubectl applies, which say when they do', async () => {
    await apply('PeerAuthentication', 'strict', { mtls: { mode: 'STRICT' } });
    await apply('AuthorizationPolicy', 'web-only', { selector: { matchLabels: { app: 'api' } }, action: 'ALLOW', rules: [{ from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }] }] });
    const programmed = { Accepted: 'True', ResolvedRefs: 'True', Programmed: 'True' };
    for (const [kind, name] of [['authorizationpolicies', 'web-only'], ['peerauthentications', 'strict']] as const) {
      expect(await until(() => conditions(kind, name), (now) => now['Programmed'] === 'True')).toEqual(programmed);
    }
    expect(await call('web', service)).toBe(`${PAGE}200`);
    expect(await call('other', service)).toMatch(/403$/);
    expect(await call('rogue', `http://${from('api').network.v4}:8080/page`)).toBe('000');
  });

  it('are written nowhere but in the cluster, which is said to who tries', async () => {
    const spec = { serviceAccount: 'web', address: '10.9.9.9' };
    const answer = await operator.call('POST', '/apply', { manifest: JSON.stringify({ apiVersion: API_VERSION, kind: 'Workload', metadata: { name: 'web-1', namespace: 'shop' }, spec }) });
    expect([answer.status, (answer.body as { error: { message: string } }).error.message]).toEqual([409, 'Workload shop/web-1 is made from Pod/web-1 of the cluster and is not written; change Pod/web-1 in namespace shop instead']);
    await apply('Workload', 'machine', { serviceAccount: 'machine', address: '10.9.9.9' });
    expect((await until(workloads, (all) => all.length === 5)).map(({ metadata }) => metadata.name)).toContain('machine');
  });

  it('are none any more when they are gone', async () => {
    const { pod } = from('api');
    const proxy = new WireProxy('api-1.shop', operator);
    expect((await proxy.attest(await pods.token(pod))).status).toBe(200);
    await pods.remove('shop', 'api-1');
    expect((await until(workloads, (all) => all.every(({ metadata }) => metadata.name !== 'api-1'))).map(({ metadata }) => metadata.name)).toEqual(['machine', 'other-1', 'rogue-1', 'web-1']);
    const refused = await proxy.svidOf({ namespace: 'shop', name: 'api-1' });
    expect([refused.status, (refused.body as { error: { message: string } }).error.message]).toEqual([403, 'pod shop/api-1 is not in the cluster any more; a proxy lives as long as its pod']);
    expect((await proxy.svidOf(null)).status).toBe(403);
    proxy.close();
    expect(await until(() => call('web', service), (text) => text.endsWith('503'))).toMatch(/503$/);
  });
});
