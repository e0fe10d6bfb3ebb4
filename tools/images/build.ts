import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { PNPM } from '../prepare.mjs';
import { bundle, BUNDLED, ROOT } from './bundle.ts';
import { consoleTree } from './console.ts';
import { contentsOf } from './digest.ts';

/**
 * `npm run build:images [-- [--out DIR] [operator] [dataplane] [console]]`
 *
 * Writes, for each, `DIR/NAME/app`, which is all that containers/NAME.Containerfile puts into the image, and
 * `DIR/NAME/sbom.cdx.json`, a CycloneDX bill of materials out of the lockfile. Prints the digest of the first: the same
 * sources and the same kind of machine give the same.
 */
const APPS = ['operator', 'dataplane', 'console'] as const;
type App = (typeof APPS)[number];
const PACKAGES: Readonly<Record<App, string>> = { operator: '@sallyport/operator', dataplane: '@sallyport/dataplane', console: '@sallyport/web' };

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { out: { type: 'string', default: join(ROOT, '.sallyport/images') } }, allowPositionals: true });
  const unknown = positionals.find((name) => !APPS.some((app) => app === name));
  if (unknown !== undefined) throw new Error(`there is no image "${unknown}". Remedy: use ${APPS.join(', ')}`);
  for (const app of APPS.filter((name) => positionals.length === 0 || positionals.includes(name))) {
    const folder = join(resolve(values.out), app);
    mkdirSync(folder, { recursive: true });
    const tree = join(folder, 'app');
    if (app === 'console') consoleTree(tree);
    else await bundle(app satisfies keyof typeof BUNDLED, tree);
    const { digest, files, bytes } = contentsOf(tree);
    writeFileSync(join(folder, 'sbom.cdx.json'), await billOfMaterials(app, digest));
    console.log(`${app} ${digest} ${files} files, ${(bytes / 1e6).toFixed(1)} MB`);
  }
}

interface Bill {
  serialNumber: string;
  readonly metadata: { timestamp?: string };
  readonly components: { readonly purl: string }[];
  readonly dependencies?: { readonly ref: string; readonly dependsOn?: string[] }[];
}

/** What pnpm says that the app is made of, in order, without the time and the random number that it puts into it. */
async function billOfMaterials(app: App, digest: string): Promise<string> {
  const args = ['--yes', PNPM, 'sbom', '--filter', PACKAGES[app], '--prod', '--lockfile-only', '--sbom-format', 'cyclonedx', '--sbom-spec-version', '1.6', '--sbom-type', 'application'];
  const { stdout } = await promisify(execFile)('npx', args, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 });
  const bill = JSON.parse(stdout) as Bill;
  const id = createHash('sha256').update(digest).digest('hex');
  bill.serialNumber = `urn:uuid:${id.slice(0, 8)}-${id.slice(8, 12)}-4${id.slice(13, 16)}-8${id.slice(17, 20)}-${id.slice(20, 32)}`;
  delete bill.metadata.timestamp;
  bill.components.sort((a, b) => (a.purl < b.purl ? -1 : 1));
  bill.dependencies?.sort((a, b) => (a.ref < b.ref ? -1 : 1)).forEach(({ dependsOn }) => dependsOn?.sort());
  return `${JSON.stringify(bill, null, 2)}\n`;
}

await main();
