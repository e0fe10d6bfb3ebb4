import { testCluster } from '../../testing/cluster.ts';
import { storeConformance } from '../conformance.ts';
import { KubeClient } from '../../kubernetes/client.ts';
import { KubernetesStore } from './store.ts';

storeConformance('the CRDs of a cluster', async () => {
  const client = new KubeClient(testCluster());
  for (const name of ['w1', 'w2', 'w3', 'w4', 'o1', 'o2', 'v1', 'v2']) await client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } });
  const store = new KubernetesStore({ client, record: () => Promise.resolve(), trouble: () => undefined, mayWrite: () => true });
  return { store, breakConnections: async () => client.breakStreams(), close: async () => undefined };
});
