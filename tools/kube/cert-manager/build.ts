import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildGoProgram } from '../../go-program.ts';

/** From nothing it compiles client-go and every issuer that cert-manager knows: 13 minutes were seen on two busy cores. */
export const BUILD_MS = 25 * 60_000;
const MODULE = 'github.com/cert-manager/cert-manager';

/** cert-manager's own controllers (a program that takes a kubeconfig) and CRDs, or why they cannot be had. */
type CertManager = { readonly program: string; readonly crds: readonly string[] } | { readonly missing: string };

/**
 * Takes cert-manager from its Go module: nothing of it is copied into the tree.
 *
 * @throws Error under CI=true when it cannot be had: there a skipped peer is a failure
 */
export async function certManager(): Promise<CertManager> {
  const built = await buildGoProgram(import.meta.dirname, BUILD_MS);
  if ('path' in built) return { program: built.path, crds: await crds() };
  const missing = `cert-manager cannot be built: ${built.missing}`;
  if (process.env['CI'] === 'true') throw new Error(missing);
  console.warn(`SKIPPED: nothing was checked with cert-manager. ${missing}`);
  return { missing };
}

async function crds(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('go', ['list', '-m', '-f', '{{.Dir}}', MODULE], { cwd: import.meta.dirname });
  return ['certificaterequests', 'issuers', 'clusterissuers'].map((name) => join(stdout.trim(), `deploy/crds/cert-manager.io_${name}.yaml`));
}
