import { join } from 'node:path';

const CRDS = join(import.meta.dirname, '../../charts/sallyport-crds/templates');

/** Installs our CRDs into a fresh cluster and waits until they are served. */
export async function installCrds(kubectl: (args: readonly string[]) => Promise<unknown>): Promise<void> {
  await kubectl(['create', '-f', CRDS]);
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', '-f', CRDS]);
}
