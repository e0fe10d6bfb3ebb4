import { parseResource } from '@sallyport/shared/resources';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectCluster } from '../../kubernetes/connect.ts';
import { startOwnCluster } from '../../testing/own-cluster.ts';
import { until } from '../../testing/until.ts';
import { KubernetesStore } from './store.ts';

const CRD = 'services.sallyport.dev';
const KEY = { kind: 'Service', namespace: 'future', name: 'a' } as const;

let cluster: Awaited<ReturnType<typeof startOwnCluster>>;
beforeAll(async () => {
  cluster = await startOwnCluster();
  await cluster.kubectl(['create', 'namespace', 'future']);
  // The CRD as a later version may have it: with fields that this version of the operator has never heard of.
  const add = (path: string) => ({ op: 'add', path: `/spec/versions/0/schema/openAPIV3Schema/properties/${path}`, value: { type: 'string' } });
  await cluster.kubectl(['patch', 'crd', CRD, '--type=json', '-p', JSON.stringify([add('spec/properties/later'), add('status/properties/later')])]);
});
afterAll(() => cluster?.stop());

const manifest = { apiVersion: 'sallyport.dev/v1alpha1', kind: 'Service', metadata: { name: 'a', namespace: 'future' }, spec: { selector: { app: 'a' }, ports: [{ port: 80 }] } };
const later = {
  ...manifest,
  metadata: { ...manifest.metadata, finalizers: ['example.org/keep'], annotations: { 'example.org/note': 'x' }, ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: '6d1a2f0e-0000-4000-8000-000000000000' }] },
  spec: { ...manifest.spec, later: 'stays' },
};

it('leaves alone what it does not know, in metadata, spec and status', async () => {
  const apply = (manager: string, ...more: string[]) => cluster.kubectl(['apply', '--server-side', `--field-manager=${manager}`, ...more, '-f', '-'], more.length > 0 ? { ...manifest, status: { later: 'stays too' } } : later);
  // The changed schema is served a moment after it was accepted.
  await until(() => apply('tomorrow').then(() => true, () => false), (good) => good);
  await apply('tomorrow-status', '--subresource=status');

  const store = new KubernetesStore({ client: connectCluster(cluster.kubeconfig), record: () => Promise.resolve(), trouble: () => undefined, mayWrite: () => true });
  const changed = { ...manifest, spec: { ...manifest.spec, ports: [{ port: 81 }] } };
  await store.apply([parseResource(changed)], { manager: 'sallyport', actor: 't', via: 'system', force: true });
  await store.writeStatus(KEY, { observedGeneration: 2, conditions: [] });
  const read = await store.get(KEY);
  expect(read?.spec).toMatchObject({ later: 'stays', ports: [{ port: 81 }] });
  // What was read goes back as it came, as an undone step does it.
  await store.apply([{ ...parseResource(manifest), spec: read?.spec } as typeof read & object], { manager: 'sallyport-strict', actor: 't', via: 'system', force: true });

  const after = JSON.parse(await cluster.kubectl(['get', CRD, '-n', 'future', 'a', '-o', 'json'])) as typeof later & { status: object };
  expect(after.metadata).toMatchObject({ finalizers: ['example.org/keep'], annotations: { 'example.org/note': 'x' }, ownerReferences: [{ name: 'owner' }] });
  expect(after.spec).toMatchObject({ later: 'stays', ports: [{ port: 81 }] });
  expect(after.status).toMatchObject({ later: 'stays too', observedGeneration: 2 });
});

it('refuses to write when another replica leads', async () => {
  const store = new KubernetesStore({ client: connectCluster(cluster.kubeconfig), record: () => Promise.resolve(), trouble: () => undefined, mayWrite: () => false });
  await expect(store.writeStatus(KEY, { observedGeneration: 9 })).rejects.toThrow(/another replica/);
  expect((await store.get(KEY))?.status?.observedGeneration).toBe(2);
});
