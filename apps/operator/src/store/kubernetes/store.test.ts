import { KubeConfig } from '@kubernetes/client-node';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, describe } from 'vitest';
import { kubeAssets } from '../../../../../tools/kube/assets.ts';
import { startCluster } from '../../../../../tools/kube/cluster.ts';
import { storeConformance } from '../conformance.ts';
import { KubeClient } from './client.ts';
import { KubernetesStore } from './store.ts';

const CRDS = join(import.meta.dirname, '../../../../../charts/sallyport-crds/crds');
const assets = await kubeAssets((text) => console.warn(text));
const missing = 'missing' in assets ? assets.missing : null;
if (missing !== null && process.env['CI'] === 'true') throw new Error(missing);
if (missing !== null) console.warn(`SKIPPED: the Kubernetes store was NOT checked. ${missing}`);

describe.skipIf(missing !== null)('with a real API server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-kube-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  storeConformance('the CRDs of a cluster', async () => {
    const cluster = await startCluster('directory' in assets ? assets.directory : '', directory);
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    const client = new KubeClient(config);
    for (const file of readdirSync(CRDS).filter((name) => name.endsWith('.yaml'))) {
      await client.request({ method: 'POST', path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', body: parse(readFileSync(join(CRDS, file), 'utf8')) });
    }
    for (const name of ['w1', 'w2', 'w3', 'w4', 'o1', 'o2', 'v1', 'v2']) await client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } });
    const store = new KubernetesStore({ client, record: () => Promise.resolve(), trouble: () => undefined });
    return { store, breakConnections: async () => client.breakStreams(), close: () => cluster.stop() };
  });
});
