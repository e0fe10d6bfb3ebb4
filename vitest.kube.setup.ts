import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import './apps/operator/src/testing/provided.ts';
import { kubeAssets } from './tools/kube/assets.ts';
import { startCluster } from './tools/kube/cluster.ts';
import { installCrds } from './tools/kube/crds.ts';

/** One real control plane for the whole run, with our CRDs; each test file takes namespaces of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const assets = await kubeAssets((text) => console.warn(text));
  if ('missing' in assets) throw new Error(assets.missing);
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-kube-'));
  const cluster = await startCluster(assets.directory, directory, { controllers: true });
  await installCrds((args) => promisify(execFile)(join(assets.directory, 'kubectl'), ['--kubeconfig', cluster.kubeconfig, ...args]));
  project.provide('kubeconfig', cluster.kubeconfig);
  project.provide('kubeAssets', assets.directory);
  return async () => {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  };
}
