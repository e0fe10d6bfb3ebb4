import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const FOLDER = import.meta.dirname;
/** A build from nothing compiles the whole API server: 5 to 15 minutes on two cores. */
const BUILD_MS = 30 * 60_000;
const KUBERNETES = { version: 'v1.37.2', major: '1', minor: '37' } as const;
const NEEDED = ['etcd', 'kube-apiserver'] as const;

/** What is built, module by module: each has pins of its own, so that none moves the others. */
const MODULES = [
  { folder: 'etcd', packages: ['go.etcd.io/etcd/server/v3'], out: 'etcd' },
  { folder: 'kubernetes', packages: ['k8s.io/kubernetes/cmd/kube-apiserver', 'k8s.io/kubernetes/cmd/kube-controller-manager', 'k8s.io/kubernetes/cmd/kubectl'], out: '' },
  { folder: 'helm', packages: ['helm.sh/helm/v4/cmd/helm'], out: 'helm' },
] as const;

/** Where the programs are, or why they cannot be had. */
export type KubeAssets = { readonly directory: string } | { readonly missing: string };

/**
 * kube-apiserver, etcd, kube-controller-manager, kubectl and helm: from the directory that KUBEBUILDER_ASSETS names (the
 * first two are enough there), else from the cache, else built once by Go from their modules into the cache.
 *
 * @param say tells of the build, which takes minutes
 */
export async function kubeAssets(say: (text: string) => void): Promise<KubeAssets> {
  const given = process.env['KUBEBUILDER_ASSETS'];
  if (given !== undefined && given !== '') {
    const absent = NEEDED.filter((name) => !existsSync(join(given, name)));
    if (absent.length > 0) return { missing: `KUBEBUILDER_ASSETS names ${given}, which has no ${absent.join(' and no ')}. Remedy: correct or unset it` };
    return { directory: given };
  }
  const directory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sallyport', `kube-${pins()}`);
  return existsSync(directory) ? { directory } : await build(directory, say);
}

/** Names the cache by everything that decides what is built. */
function pins(): string {
  const hash = createHash('sha256').update(JSON.stringify(KUBERNETES));
  for (const { folder } of MODULES) for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(FOLDER, folder, file)));
  return hash.digest('hex').slice(0, 16);
}

async function build(directory: string, say: (text: string) => void): Promise<KubeAssets> {
  const go = promisify(execFile);
  if (!(await go('go', ['version']).then(() => true, () => false))) {
    return { missing: 'Go is not installed (https://go.dev/dl) and KUBEBUILDER_ASSETS is not set; setup-envtest gives such a directory' };
  }
  // Complete or not there: a build that was cut off must not look like one that was not.
  const scratch = `${directory}.${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  try {
    for (const { folder, packages, out } of MODULES) {
      say(`building ${packages.map((name) => name.slice(name.lastIndexOf('/cmd/') + 5)).join(', ')} (${folder})`);
      const args = ['build', '-trimpath', '-p', '2', '-ldflags', linkerFlags(), '-o', join(scratch, out), ...packages];
      await go('nice', ['-n', '10', 'go', ...args], { cwd: join(FOLDER, folder), env: { ...process.env, CGO_ENABLED: '0' }, timeout: BUILD_MS, maxBuffer: 16 * 1024 * 1024 });
    }
    renameSync(scratch, directory);
    return { directory };
  } catch (error) {
    return { missing: `go build failed, which needs the Go module proxy once: ${error instanceof Error ? error.message.slice(0, 2000) : 'unknown'}` };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Without these the API server calls itself v0.0.0-master, which Helm's version checks refuse. */
function linkerFlags(): string {
  const { version, major, minor } = KUBERNETES;
  const facts = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const set = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((name) => Object.entries(facts).map(([key, value]) => `-X ${name}.${key}=${value}`));
  return ['-s', '-w', ...set].join(' ');
}
