import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../../tools/free-port.ts';
import { connectCluster } from './kubernetes/connect.ts';
import { listAll, watchFrom } from './kubernetes/list-watch.ts';
import { createTestDatabase } from './testing/database.ts';
import { startOperator, type TestOperator } from './testing/operator.ts';
import { startOwnCluster } from './testing/own-cluster.ts';
import { WireProxy } from './testing/proxy.ts';
import { until } from './testing/until.ts';

const API = 'sallyport.dev/v1alpha1';
const POLICIES = 200;

interface Claim {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
}
interface Policy {
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number; readonly managedFields: readonly Claim[] };
  readonly status?: { readonly observedGeneration: number; readonly conditions: readonly { readonly type: string; readonly status: string; readonly message: string }[] };
}

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
let stateDir: string;
let databaseUrl: string;
const replicas: TestOperator[] = [];
const proxies: WireProxy[] = [];

beforeAll(async () => {
  cluster = await startOwnCluster();
  stateDir = await mkdtemp(join(tmpdir(), 'replicas-'));
  databaseUrl = await createTestDatabase();
  for (const name of ['sallyport-system', 'shop']) await cluster.kubectl(['create', 'namespace', name]);
});
afterAll(async () => {
  for (const proxy of proxies) proxy.close();
  for (const replica of replicas) await replica.close();
  await cluster?.stop();
  await rm(stateDir, { recursive: true, force: true });
});

async function startReplica(name: string) {
  const [api, joining, stream] = await Promise.all([freePort(), freePort(), freePort()]);
  const environment = { SALLYPORT_STORE: 'kubernetes', KUBECONFIG: cluster.kubeconfig, SALLYPORT_NAMESPACE: 'sallyport-system', SALLYPORT_POD_NAME: name, SALLYPORT_WEBHOOK_PORT: '0' };
  const started = startOperator({ environment, databaseUrl, stateDir, ports: { api, join: joining, stream } }).then((replica) => {
    replicas.push(replica);
    return replica;
  });
  return { api: `http://127.0.0.1:${api}`, stream: `https://127.0.0.1:${stream}`, started };
}

const object = (kind: string, name: string, spec: object, labels: object = {}) => ({ apiVersion: API, kind, metadata: { name, namespace: 'shop', labels }, spec });
const workload = object('Workload', 'api', { serviceAccount: 'api', address: '127.0.0.11', proxy: 'node-1', inbound: [{ port: 80, protocol: 'http', app: 'unix:/run/api.sock' }] }, { app: 'api' });
const policyName = (i: number) => `policy-${String(i).padStart(3, '0')}`;
const policy = (i: number) => object('AuthorizationPolicy', policyName(i), { selector: { matchLabels: { app: 'api' } }, action: 'ALLOW', rules: [{ to: [{ operation: { paths: [`/p${i}`] } }] }] });

async function policies(): Promise<readonly Policy[]> {
  const text = await cluster.kubectl(['get', 'authorizationpolicies.sallyport.dev', '-n', 'shop', '-o', 'json', '--show-managed-fields']);
  return (JSON.parse(text) as { items: Policy[] }).items;
}
const programmed = ({ metadata, status }: Policy) => status?.observedGeneration === metadata.generation && status.conditions.some(({ type, status: value }) => type === 'Programmed' && value === 'True');
const holder = async () => (JSON.parse(await cluster.kubectl(['get', 'lease', '-n', 'sallyport-system', 'sallyport-operator', '-o', 'json'])) as { spec: { holderIdentity: string; leaseTransitions: number } }).spec;

/** What each version of each policy says but for times, from now on, as the API server tells whoever watches. */
function recordVersions(): { readonly told: ReadonlyMap<string, string[]>; stop(): void } {
  const told = new Map<string, string[]>();
  const stop = new AbortController();
  const follow = async () => {
    const client = connectCluster(cluster.kubeconfig);
    const path = `/apis/${API}/namespaces/shop/authorizationpolicies`;
    const { resourceVersion } = await listAll(client, path);
    for await (const event of watchFrom({ client, path, trouble: () => undefined }, resourceVersion, stop.signal)) {
      if (!('object' in event)) continue;
      const { metadata, spec, status } = event.object as unknown as { metadata: { name: string }; spec: unknown; status: unknown };
      const text = JSON.stringify([spec, status], (key, value: unknown) => (key === 'lastTransitionTime' ? undefined : value));
      told.set(metadata.name, [...(told.get(metadata.name) ?? []), text]);
    }
  };
  void follow();
  return { told, stop: () => stop.abort() };
}

async function connectProxy(operator: TestOperator): Promise<WireProxy> {
  const proxy = new WireProxy('node-1', operator);
  proxies.push(proxy);
  await proxy.enrol();
  proxy.subscribe({ ack: true });
  return proxy;
}

it('leads by one replica: kill -9 in the middle of a rollout of 200 policies, and the other ends it within the lease', async () => {
  const first = await startReplica('operator-0');
  const leader = await first.started;
  const second = await startReplica('operator-1');
  await until(() => fetch(`${second.api}/healthz`).then((answer) => answer.text(), () => ''), (text) => text === 'standing by\n');
  expect((await holder()).holderIdentity).toMatch(/^operator-0_/);

  // Through the replica that only stands by: its ports lead to the leader.
  await cluster.kubectl(['apply', '-f', '-'], workload);
  const viaStandby = await until(async () => (await fetch(`${second.api}/api/v1/session`, { method: 'POST', body: JSON.stringify({ username: 'admin', password: leader.password }) })).status, (status) => status === 200);
  expect(viaStandby).toBe(200);
  const proxy = await connectProxy({ ...leader, streamUrl: second.stream });

  const versions = recordVersions();
  const applied = leader.call('POST', '/apply', { manifest: Array.from({ length: POLICIES }, (_, i) => JSON.stringify(policy(i))).join('\n---\n') });
  applied.catch(() => undefined);
  const atKill = await until(policies, (items) => items.filter(programmed).length > 0);
  expect(atKill.filter(programmed).length).toBeLessThan(POLICIES);
  leader.signal('SIGKILL');

  const successor = await second.started;
  expect(await holder()).toMatchObject({ holderIdentity: expect.stringMatching(/^operator-1_/), leaseTransitions: 1 });
  const rest = await successor.call('POST', '/apply', { manifest: Array.from({ length: POLICIES }, (_, i) => JSON.stringify(policy(i))).join('\n---\n') });
  expect(rest.status).toBe(200);
  await until(async () => {
    const stream = proxy.subscribe({ ack: true });
    return await new Promise<boolean>((resolve) => {
      stream.once('response', (headers) => resolve(headers[':status'] === 200)).once('error', () => resolve(false));
    });
  }, (good) => good);
  const ended = await until(policies, (items) => items.length === POLICIES && items.every(programmed));
  expect(ended.filter((item) => !programmed(item))).toEqual([]);
  expect(ended).toHaveLength(POLICIES);
  versions.stop();
  expect(versions.told.size).toBe(POLICIES);
  for (const told of versions.told.values()) for (const [i, text] of told.entries()) expect(text).not.toBe(told[i - 1]);
  oneWriteEach(ended, (await successor.call('GET', '/audit?limit=500')).body);
});

/** No policy was written twice: of one generation, by one manager of spec and one of status, and made once in the audit log. */
function oneWriteEach(ended: readonly Policy[], audit: { items: { action: string; resource: string }[] }): void {
  for (const { metadata } of ended) {
    expect(metadata.generation).toBe(1);
    expect(metadata.managedFields.map(({ manager, subresource = '' }) => `${manager}/${subresource}`).sort()).toEqual(['sallyport-status/status', 'sallyport/']);
  }
  const writes = audit.items.filter(({ resource }) => resource.startsWith('AuthorizationPolicy/shop/'));
  expect(writes.filter(({ action }) => action !== 'create')).toEqual([]);
  const made = writes.map(({ resource }) => resource);
  expect(new Set(made).size).toBe(made.length);
  // The one at which the leader was killed may have been written without its record.
  expect(made.length).toBeGreaterThanOrEqual(POLICIES - 1);
}
