import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { type Cluster, startCluster } from '../../../../tools/kube/cluster.ts';
import { installCrds } from '../../../../tools/kube/crds.ts';
import './provided.ts';

const MAX_OUTPUT = 64 * 1024 * 1024;

/** A control plane with our CRDs that one test file has to itself. */
interface OwnCluster {
  readonly control: Cluster;
  readonly kubeconfig: string;
  /** Runs kubectl as the administrator, with `input` on its standard input. @returns what it writes */
  kubectl(args: readonly string[], input?: unknown): Promise<string>;
  stop(): Promise<void>;
}

/** For tests that break the API server, or that run an operator, which writes into every namespace. */
export async function startOwnCluster(options: { readonly serviceAccounts?: boolean } = {}): Promise<OwnCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-kube-own-'));
  const assets = inject('kubeAssets');
  const control = await startCluster(assets, directory, { controllers: false, ...options });
  const kubectl = async (args: readonly string[], input?: unknown): Promise<string> => {
    const running = promisify(execFile)(join(assets, 'kubectl'), ['--kubeconfig', control.kubeconfig, ...args], { maxBuffer: MAX_OUTPUT });
    // A command that ends without reading it says why by its exit.
    running.child.stdin?.on('error', () => undefined).end(input === undefined ? '' : JSON.stringify(input));
    return (await running).stdout;
  };
  await installCrds(kubectl);
  return {
    control, kubectl,
    kubeconfig: control.kubeconfig,
    async stop() {
      await control.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
