import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

/** A build from nothing downloads modules. */
export const BUILD_MS = 420_000;

/** The binary of a Go program in `folder`, kept by the hash of its sources outside of the clone; or why it cannot be had. */
export async function buildGoProgram(folder: string, timeout = BUILD_MS): Promise<{ readonly path: string } | { readonly missing: string }> {
  if (spawnSync('go', ['version']).status !== 0) return { missing: 'Go is not installed (https://go.dev/dl)' };
  const path = programPath(folder);
  if (existsSync(path)) return { path };
  // Not the blocking form: a build from nothing takes longer than vitest waits for a sign of life.
  // And not into its place: another test may look for it while it is written.
  const fresh = `${path}.${process.pid}`;
  return await promisify(execFile)('go', ['build', '-o', fresh, '.'], { cwd: folder, timeout, maxBuffer: 16 * 1024 * 1024 })
    .then(() => rename(fresh, path))
    .then(() => ({ path }), (error: unknown) => ({ missing: `go build failed, which needs the Go module proxy once: ${error instanceof Error ? error.message : 'unknown'}` }));
}

/** The same, if it was built before; null otherwise. */
export function cachedGoProgram(folder: string): string | null {
  const path = programPath(folder);
  return existsSync(path) ? path : null;
}

function programPath(folder: string): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(folder).filter((name) => /\.go$|^go\.(?:mod|sum)$/.test(name)).sort()) hash.update(readFileSync(join(folder, file)));
  return join(tmpdir(), `sallyport-${basename(folder)}-${hash.digest('hex').slice(0, 16)}`);
}

/**
 * Builds main packages of others that the module in `folder` pins into `directory`, which is complete or not there.
 *
 * @returns why that cannot be done, or null
 */
export async function buildPackages(folder: string, packages: readonly string[], directory: string, ms: number): Promise<string | null> {
  if (spawnSync('go', ['version']).status !== 0) return 'Go is not installed (https://go.dev/dl)';
  const scratch = `${directory}.${process.pid}`;
  await mkdir(scratch, { recursive: true });
  try {
    await promisify(execFile)('nice', ['-n', '19', 'go', 'build', '-p', '2', '-ldflags', '-s -w', '-o', `${scratch}/`, ...packages], { cwd: folder, timeout: ms, maxBuffer: 16 * 1024 * 1024 });
    await rename(scratch, directory);
    return null;
  } catch (error) {
    return `go build failed, which needs the Go module proxy once: ${error instanceof Error ? error.message.slice(0, 2000) : 'unknown'}`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
