import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const SOURCES = ['go.mod', 'go.sum', 'main.go'];
/** The first build compiles gRPC. */
const BUILD_MS = 600_000;

/** The go-spiffe program that tests run against us: its path, or why it cannot be had. */
export type SpiffeTool = { readonly path: string } | { readonly missing: string };

/**
 * Builds the program outside the tree, once for each state of its sources.
 *
 * @throws Error under CI=true when it cannot be built: there a skipped peer is a failure
 */
export function spiffeTool(): SpiffeTool {
  const hash = createHash('sha256');
  for (const name of SOURCES) hash.update(readFileSync(join(import.meta.dirname, name)));
  const directory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sallyport');
  const path = join(directory, `spiffe-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(path)) return { path };
  mkdirSync(directory, { recursive: true });
  const built = spawnSync('go', ['build', '-o', `${path}.${process.pid}`, '.'], { cwd: import.meta.dirname, encoding: 'utf8', timeout: BUILD_MS });
  if (built.status === 0) {
    renameSync(`${path}.${process.pid}`, path);
    return { path };
  }
  const missing = `go-spiffe cannot be built: ${built.error?.message ?? built.stderr}`;
  if (process.env['CI'] === 'true') throw new Error(missing);
  console.warn(`SKIPPED: what go-spiffe says of us was NOT checked. ${missing}`);
  return { missing };
}
