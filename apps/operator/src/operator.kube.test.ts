import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOperator, type TestOperator } from './testing/operator.ts';
import { startOwnCluster } from './testing/own-cluster.ts';
import { until } from './testing/until.ts';

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
let operator: TestOperator;

beforeAll(async () => {
  cluster = await startOwnCluster();
  await cluster.kubectl(['create', 'namespace', 'sallyport-system']);
  await cluster.kubectl(['create', 'namespace', 'shop']);
  operator = await startOperator({ environment: { SALLYPORT_STORE: 'kubernetes', KUBECONFIG: cluster.kubeconfig, SALLYPORT_NAMESPACE: 'sallyport-system', SALLYPORT_POD_NAME: 'operator-0', SALLYPORT_WEBHOOK_PORT: '0' } });
});
afterAll(async () => {
  await operator?.close();
  await cluster?.stop();
});

const policy = (name: string, principal: string) => ({
  apiVersion: 'sallyport.dev/v1alpha1', kind: 'AuthorizationPolicy', metadata: { name, namespace: 'shop' },
  spec: { action: 'ALLOW', rules: [{ from: [{ source: { principals: [principal] } }] }] },
});

interface Read {
  readonly metadata: { readonly generation: number; readonly managedFields: readonly { readonly manager: string; readonly subresource?: string }[] };
  readonly status?: { readonly observedGeneration: number; readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[] };
}

async function read(name: string): Promise<Read> {
  return JSON.parse(await cluster.kubectl(['get', 'authorizationpolicies.sallyport.dev', '-n', 'shop', name, '-o', 'json', '--show-managed-fields'])) as Read;
}

const verdicts = ({ status }: Read) => Object.fromEntries((status?.conditions ?? []).map(({ type, status: value }) => [type, value]));

it('tells by conditions in the status subresource what became of a policy that kubectl applied', async () => {
  await cluster.kubectl(['apply', '-f', '-'], policy('pay', 'shop.test/ns/shop/sa/nobody'));
  const first = await until(() => read('pay'), ({ status }) => status !== undefined);
  expect(verdicts(first)).toEqual({ Accepted: 'True', ResolvedRefs: 'False', Programmed: 'False' });
  expect(first.metadata.managedFields).toContainEqual(expect.objectContaining({ manager: 'sallyport-status', subresource: 'status' }));

  await cluster.kubectl(['apply', '-f', '-'], { apiVersion: 'sallyport.dev/v1alpha1', kind: 'Workload', metadata: { name: 'web', namespace: 'shop' }, spec: { serviceAccount: 'web', address: '10.0.0.7', inbound: [{ port: 80, protocol: 'http', app: 'unix:/run/web.sock' }] } });
  await cluster.kubectl(['apply', '-f', '-'], policy('pay', 'shop.test/ns/shop/sa/web'));
  const second = await until(() => read('pay'), ({ metadata, status }) => status?.observedGeneration === metadata.generation && metadata.generation === 2);
  expect(verdicts(second)).toMatchObject({ Accepted: 'True', ResolvedRefs: 'True' });
});

it('applies by its API into the cluster, with a record in PostgreSQL of who did it', async () => {
  const { status } = await operator.call('POST', '/apply', { manifest: JSON.stringify(policy('by-api', 'shop.test/ns/shop/sa/web')) });
  expect(status).toBe(200);
  const { metadata } = await read('by-api');
  expect(metadata.managedFields.map(({ manager }) => manager)).toContain('sallyport');
  const audit = (await operator.call('GET', '/audit')).body as { items: { actor: string; action: string; resource: string }[] };
  expect(audit.items).toContainEqual(expect.objectContaining({ actor: 'admin', action: 'create', resource: 'AuthorizationPolicy/shop/by-api' }));
});
