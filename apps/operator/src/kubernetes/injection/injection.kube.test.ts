import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../testing/until.ts';
import { ENABLED, InjectedCluster, SYSTEM } from './cluster.fixture.ts';
import type { Pod } from './pod.ts';

let cluster: InjectedCluster;
beforeAll(async () => {
  cluster = await InjectedCluster.start();
  for (const name of ['shop', 'kube-system', SYSTEM]) await cluster.namespace(name, ENABLED);
  await cluster.namespace('pay');
  // The API server takes up webhooks and policies a moment after they are stored.
  await until(() => cluster.whyNot('shop', pod('first')), (why) => why === null);
});
afterAll(() => cluster?.stop());

const probes = {
  livenessProbe: { httpGet: { path: '/up', port: 'http' }, timeoutSeconds: 2 }, readinessProbe: { tcpSocket: { port: 8080 } }, startupProbe: { grpc: { port: 9090 } },
};
const restricted = { runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, seccompProfile: { type: 'RuntimeDefault' } };
function pod(name: string, container: object = {}, spec: object = {}, metadata: object = {}) {
  return { metadata: { name, ...metadata }, spec: { containers: [{ name: 'web', image: 'shop/web:1', securityContext: restricted, ...container }], ...spec } };
}
const names = (containers: readonly { readonly name: string }[] | undefined) => containers?.map(({ name }) => name) ?? [];

describe('in a namespace that asked for proxies', () => {
  it('a pod is stored with its proxy, as a native sidecar, and with its probes led there', async () => {
    await cluster.create('shop', pod('web', { ...probes, ports: [{ name: 'http', containerPort: 8080 }] }, { initContainers: [{ name: 'migrate', image: 'shop/migrate:1' }] }));
    const stored = JSON.parse(await cluster.kubectl(['get', 'pod', '-n', 'shop', 'web', '-o', 'json'])) as Pod;
    expect(names(stored.spec.initContainers)).toEqual(['sallyport-redirect', 'sallyport-proxy', 'migrate']);
    expect(stored.spec.initContainers?.[1]).toMatchObject({ restartPolicy: 'Always', securityContext: { runAsUser: 1337, runAsNonRoot: true }, resources: { limits: { memory: '256Mi' } } });
    expect(stored.metadata.annotations).toMatchObject({ 'sallyport.dev/injected': '0.1.0' });
    for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) expect(stored.spec.containers[0]?.[field]?.httpGet).toMatchObject({ port: 15_021, path: `/app/web/${field}` });
    expect(stored.spec.containers[0]?.livenessProbe).toMatchObject({ timeoutSeconds: 2 });
  });

  it('a dry run shows the same, and stores nothing', async () => {
    const shown = await cluster.create<Pod>('shop', pod('dry'), { dryRun: 'All' });
    expect(names(shown.spec.initContainers)).toContain('sallyport-proxy');
    expect(await cluster.refusal(['get', 'pod', '-n', 'shop', 'dry'])).toContain('NotFound');
  });

  it('a copy of a running pod is the same pod again', async () => {
    const stored = await cluster.create<Pod>('shop', pod('original', { ...probes, ports: [{ name: 'http', containerPort: 8080 }] }));
    const copy = await cluster.create<Pod>('shop', { metadata: { name: 'copy', annotations: stored.metadata.annotations }, spec: stored.spec });
    expect(copy.spec).toEqual(stored.spec);
  });

  it.each([
    [pod('host', {}, { hostNetwork: true }), /hostNetwork/],
    [pod('taken', { ports: [{ containerPort: 15_006 }] }), /port 15006, which is the proxy's/],
    [pod('user', { securityContext: { runAsUser: 1337 } }), /as user 1337/],
    [pod('mine', { name: 'sallyport-proxy' }), /has a name of the injector's/],
    [pod('odd', {}, {}, { annotations: { 'sallyport.dev/exclude-ports': '22' } }), /annotation sallyport.dev\/exclude-ports is not known/],
  ])('a pod that cannot have one is refused in words (%#)', async (refused, message) => {
    expect(await cluster.whyNot('shop', refused)).toMatch(message);
  });

  it('what people exclude reaches the rules', async () => {
    const { spec } = await cluster.create<Pod>('shop', pod('ports', {}, {}, { annotations: { 'sallyport.dev/exclude-inbound-ports': '22' } }), { dryRun: 'All' });
    expect(spec.initContainers?.[0]?.['args']).toContain('15021,22');
  });
});

it.each(['pay', 'kube-system', SYSTEM])('pods of %s are left as they are', async (namespace) => {
  const { spec, metadata } = await cluster.create<Pod>(namespace, pod('plain'), { dryRun: 'All' });
  expect(spec.initContainers).toBeUndefined();
  expect(metadata.annotations).toBeUndefined();
});

describe('the Pod Security Standard "restricted"', () => {
  it('is met by the proxy, and not by the container that makes the rules', async () => {
    await cluster.namespace('strict', 'pod-security.kubernetes.io/enforce=restricted', ENABLED);
    const why = await until(() => cluster.whyNot('strict', pod('web')), (text) => text?.includes('PodSecurity') === true);
    expect(why).toContain('container "sallyport-redirect"');
    expect(why).not.toContain('sallyport-proxy');
    expect(why).not.toContain('volume');
    await cluster.kubectl(['label', 'namespace', 'strict', 'sallyport.dev/injection-']);
    const { spec } = await cluster.create<Pod>('shop', pod('web-2'), { dryRun: 'All' });
    const without = { metadata: { name: 'web' }, spec: { ...spec, initContainers: spec.initContainers?.filter(({ name }) => name !== 'sallyport-redirect') } };
    expect(await until(() => cluster.whyNot('strict', without), (text) => text === null)).toBeNull();
  });
});

describe('leaving a pod out', () => {
  const labels = { 'sallyport.dev/inject': 'false' };
  const template = { metadata: { labels: { app: 'web', ...labels } }, spec: { containers: [{ name: 'web', image: 'shop/web:1' }] } };
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'out', namespace: 'shop' }, spec: { selector: { matchLabels: { app: 'web' } }, template } };
  const cronJob = { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'out', namespace: 'shop' }, spec: { schedule: '@daily', jobTemplate: { spec: { template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } } } } };
  const bare = { apiVersion: 'v1', kind: 'Pod', ...pod('out', {}, {}, { namespace: 'shop', labels }) };
  const apply = (object: object, user: string) => cluster.refusal(['create', '--dry-run=server', '-f', '-', `--as=${user}`], object);

  beforeAll(async () => {
    await cluster.kubectl(['create', 'clusterrole', 'developer', '--verb=*', '--resource=pods,deployments.apps,cronjobs.batch']);
    for (const user of ['ann', 'bob']) await cluster.kubectl(['create', 'clusterrolebinding', user, '--clusterrole=developer', `--user=${user}`]);
    await cluster.kubectl(['create', 'rolebinding', '-n', 'shop', 'ann-optout', '--clusterrole=sallyport-injector-optout', '--user=ann']);
    await until(() => apply(bare, 'bob'), (why) => why.includes('optout'));
    await until(() => apply(bare, 'ann'), (why) => why === '');
  });

  it.each([['a pod', bare], ['a Deployment', deployment], ['a CronJob', cronJob]])('is refused to who may not, by %s', async (_what, object) => {
    expect(await apply(object, 'bob')).toContain('bob may not label pods sallyport.dev/inject: "false" in namespace shop');
    expect(await apply(object, 'ann')).toBe('');
  });

  it('is a right in one namespace', async () => {
    await cluster.namespace('bank', ENABLED);
    await until(() => apply({ ...bare, metadata: { ...bare.metadata, namespace: 'bank' } }, 'ann'), (why) => why.includes('in namespace bank'));
    // Where nobody asked for proxies the label means nothing, and is nobody's to forbid.
    expect(await apply({ ...bare, metadata: { ...bare.metadata, namespace: 'pay' } }, 'bob')).toBe('');
  });

  it('gives a pod without a proxy, by the controllers of Kubernetes too', async () => {
    expect((await cluster.create<Pod>('shop', bare, { dryRun: 'All' })).spec.initContainers).toBeUndefined();
    expect(await apply(bare, 'system:serviceaccount:kube-system:replicaset-controller')).toBe('');
  });

  it('cannot be done afterwards, and what is left out can be changed', async () => {
    await cluster.create('shop', pod('later'));
    expect(await cluster.refusal(['label', 'pod', '-n', 'shop', 'later', 'sallyport.dev/inject=false', '--as=bob'])).toContain('may not label pods');
    await cluster.create('shop', { ...bare, metadata: { ...bare.metadata, name: 'left-out' } });
    expect(await cluster.refusal(['label', 'pod', '-n', 'shop', 'left-out', 'x=y', '--as=bob'])).toBe('');
  });
});
