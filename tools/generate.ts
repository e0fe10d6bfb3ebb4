import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crdFiles } from './crds.ts';
import { referenceFiles } from './reference.ts';

/**
 * `node tools/generate.ts [--if-needed | --check]`
 *
 * Writes what is generated: the database client (not in git), the CRD manifests, the reference and the chart's alerts (in
 * git, reviewed as a diff).
 * `--if-needed` makes only the client, and only when the schema changed. `--check` writes nothing and fails, naming
 * each file of git that differs from what its source would generate now.
 */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CLIENT = join(ROOT, 'apps/operator/src/generated/prisma');

function schemaHash(): string {
  const hash = createHash('sha256');
  for (const file of ['prisma/schema.prisma', 'pnpm-lock.yaml']) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}

function generateClient(ifNeeded: boolean): void {
  const stamp = join(CLIENT, '.stamp');
  const hash = schemaHash();
  if (ifNeeded && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  const result = spawnSync(process.execPath, [join(ROOT, 'node_modules/prisma/build/index.js'), 'generate'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 180_000,
    // The client needs no native engine, and the download of one would fail behind a registry mirror.
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
  });
  if (result.status !== 0) {
    throw new Error(`prisma generate failed:\n${result.stdout}${result.stderr}\nRemedy: mend prisma/schema.prisma where it says`);
  }
  writeFileSync(stamp, hash);
}

function committedFiles(): [string, string][] {
  return [...crdFiles(), ...referenceFiles(), alertsOfChart()];
}

/** A chart can only read files of its own. */
function alertsOfChart(): [string, string] {
  return ['charts/sallyport/files/alerts.rules.yaml', readFileSync(join(ROOT, 'docs/alerts.rules.yaml'), 'utf8')];
}

function writeCommitted(): void {
  for (const [path, text] of committedFiles()) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
  }
}

/** Files whose content in the clone differs from what their source generates. */
function staleFiles(): string[] {
  return committedFiles()
    .filter(([path, text]) => !existsSync(join(ROOT, path)) || readFileSync(join(ROOT, path), 'utf8') !== text)
    .map(([path]) => path);
}

function main(args: readonly string[]): number {
  if (args.includes('--check')) {
    const stale = staleFiles();
    for (const path of stale) console.error(`${path} is not what its source generates. Remedy: npm run generate`);
    return stale.length === 0 ? 0 : 1;
  }
  generateClient(args.includes('--if-needed'));
  if (!args.includes('--if-needed')) writeCommitted();
  return 0;
}

process.exitCode = main(process.argv.slice(2));
