import { KINDS, type Kind, type Workload } from '@sallyport/shared/resources';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeConformance } from '../../store/conformance.ts';
import { KubernetesStore } from '../../store/kubernetes/store.ts';
import type { StoreEvent } from '../../store/ports.ts';
import { ClusterPods, type TestPod } from '../../testing/cluster-pods.ts';
import { startOwnCluster } from '../../testing/own-cluster.ts';
import { until } from '../../testing/until.ts';
import type { KubeClient } from '../client.ts';
import { connectCluster } from '../connect.ts';
import { ClusterWorkloads } from './cluster.ts';
import { OverlayStore } from './overlay.ts';

interface Opened {
  readonly client: KubeClient;
  readonly pods: ClusterPods;
  readonly workloads: ClusterWorkloads;
  readonly store: OverlayStore;
  close(): Promise<void>;
}

const WRITTEN: Workload = { apiVersion: 'sallyport.dev/v1alpha1', kind: 'Workload', metadata: { name: 'web-2', namespace: 'shop' }, spec: { serviceAccount: 'thief', address: '10.9.9.9', inbound: [], outbound: [] } };
const trouble = () => undefined;

async function open(): Promise<Opened> {
  const cluster = await startOwnCluster();
  const client = connectCluster(cluster.kubeconfig);
  const workloads = new ClusterWorkloads(client, trouble);
  await workloads.synced;
  const store = new OverlayStore(new KubernetesStore({ client, record: () => Promise.resolve(), trouble, mayWrite: () => true }), workloads);
  return { client, pods: new ClusterPods(client), workloads, store, close: () => workloads.close().then(() => cluster.stop()) };
}

storeConformance('CRDs under the pods of a cluster', async () => {
  const { store, pods, client, close } = await open();
  for (const name of ['w1', 'w2', 'w3', 'w4', 'o1', 'o2', 'v1', 'v2']) await pods.namespace(name);
  return { store, breakConnections: async () => client.breakStreams(), close };
});

describe('pods and services over the stored resources', () => {
  const POD: TestPod = { namespace: 'shop', name: 'web-1', serviceAccount: 'web', ips: ['10.1.0.1'], labels: { app: 'web' }, injected: true };
  const by = { manager: 't', actor: 't', via: 'system' } as const;
  const key = { kind: 'Workload', namespace: 'shop', name: 'web-1' } as const;
  let opened: Opened;
  beforeAll(async () => {
    opened = await open();
    await opened.pods.namespace('shop', ['web']);
  });
  afterAll(() => opened?.close());

  /** What a watch tells until `stop` is content. */
  async function follow(from: string, stop: (events: readonly StoreEvent[]) => boolean): Promise<StoreEvent[]> {
    const events: StoreEvent[] = [];
    const end = new AbortController();
    for await (const event of opened.store.watch(from, end.signal)) {
      events.push(event);
      if (stop(events)) break;
    }
    end.abort();
    return events;
  }
  const named = (events: readonly StoreEvent[], name: string) => events.flatMap((event) => ('object' in event && event.object.metadata.name === name ? [event.type] : []));

  it('are told of by a watch that began before them, and by one that began after the list that did not have them', async () => {
    const { store, pods } = opened;
    expect((await store.list('Workload')).items).toEqual([]);
    const revision = await store.revision();
    const early = follow(revision, (events) => named(events, 'web-1').includes('Deleted'));
    await pods.pod(POD);
    await until(() => store.get(key), (found) => found !== null);
    expect(named(await follow(revision, (events) => named(events, 'web-1').length > 0), 'web-1')).toEqual(['Added']);
    await pods.remove('shop', 'web-1');
    const all = named(await early, 'web-1');
    expect([all[0], all.at(-1)]).toEqual(['Added', 'Deleted']);
    expect(await store.get(key)).toBeNull();
  });

  it('keep what controllers say of them, and lose it with the pod', async () => {
    const { store, pods } = opened;
    await pods.pod(POD);
    await until(() => store.get(key), (found) => found !== null);
    const { revision } = await store.list('Workload');
    await store.writeStatus(key, { observedGeneration: 1 });
    expect((await store.get(key))?.status).toEqual({ observedGeneration: 1 });
    const [told] = (await follow(revision, (events) => named(events, 'web-1').length > 0)).filter((event) => 'object' in event);
    expect(told && 'object' in told ? told.object.status : null).toEqual({ observedGeneration: 1 });
    await pods.remove('shop', 'web-1');
    await until(() => store.get(key), (found) => found === null);
    await pods.pod(POD);
    expect((await until(() => store.get(key), (found) => found !== null))?.status).toBeUndefined();
  });

  it('are the ones under their names, and are not written', async () => {
    const { store, pods, client } = opened;
    await store.apply([structuredClone(WRITTEN)], by);
    await pods.pod({ ...POD, name: 'web-2', ips: ['10.1.0.2'] });
    const own = { ...key, name: 'web-2' };
    expect(await until(() => store.get(own), (found) => found?.kind === 'Workload' && found.spec.serviceAccount === 'web')).toMatchObject({ spec: { address: '10.1.0.2', proxy: 'web-2.shop' } });
    const { items, revision } = await store.list('Workload', 'shop');
    expect(items.map(({ metadata, spec }) => `${metadata.name} ${spec.serviceAccount}`)).toEqual(['web-1 web', 'web-2 web']);
    // A write past us is not told as a change of the pod.
    await client.request({ method: 'PATCH', path: '/apis/sallyport.dev/v1alpha1/namespaces/shop/workloads/web-2', body: { spec: { address: '10.9.9.8' } }, contentType: 'application/merge-patch+json' });
    await store.apply([{ ...structuredClone(WRITTEN), metadata: { name: 'last', namespace: 'shop' } }], by);
    expect(named(await follow(revision, (events) => named(events, 'last').length > 0), 'web-2')).toEqual([]);
    const refused = /Workload shop\/web-2 is made from Pod\/web-2 of the cluster and is not written; change Pod\/web-2 in namespace shop instead/;
    await expect(store.apply([structuredClone(WRITTEN)], by)).rejects.toThrow(refused);
    await expect(store.delete(own, by)).rejects.toThrow(refused);
  });

  it('leave every other kind as it is', async () => {
    for (const kind of Object.keys(KINDS) as Kind[]) if (kind !== 'Workload' && kind !== 'Service') expect((await opened.store.list(kind)).items).toEqual([]);
  });
});
