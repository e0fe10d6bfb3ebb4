import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT } from './bundle.ts';

const WEB = join(ROOT, 'apps/web');
const BUILT = join(WEB, '.next/image');
/** Where the image has it; Next writes the place of the build into two files. */
const PLACE = '/app';
/** No server action is there to encrypt anything for; without a key Next makes one up at each build. */
const UNUSED_KEY = Buffer.alloc(32).toString('base64');

/** Writes Next's standalone build of the console into an empty directory: its server with the files that it uses. */
export function consoleTree(out: string): void {
  const version = createHash('sha256').update(readFileSync(join(ROOT, 'pnpm-lock.yaml'))).digest('hex').slice(0, 16);
  const next = createRequire(join(WEB, 'package.json')).resolve('next/dist/bin/next');
  rmSync(BUILT, { recursive: true, force: true });
  execFileSync(process.execPath, [next, 'build'], { cwd: WEB, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', SALLYPORT_BUILD_ID: version, NEXT_SERVER_ACTIONS_ENCRYPTION_KEY: UNUSED_KEY } });
  rmSync(out, { recursive: true, force: true });
  cpSync(join(BUILT, 'standalone'), out, { recursive: true, verbatimSymlinks: true });
  cpSync(join(BUILT, 'static'), join(out, 'apps/web/.next/image/static'), { recursive: true });
  for (const name of ['apps/web/server.js', 'apps/web/.next/image/required-server-files.json']) {
    const text = readFileSync(join(out, name), 'utf8');
    writeFileSync(join(out, name), text.replaceAll(ROOT, PLACE));
  }
  sameKeys(join(out, 'apps/web/.next/image'));
  dropPictureLibrary(join(out, 'node_modules/.pnpm'));
  refuseTraces(out);
}

/** Next makes up keys for its preview mode, which the console does not have, at each build: here they follow from their names. */
function sameKeys(built: string): void {
  const props = JSON.parse(readFileSync(join(built, 'server/preview-props.json'), 'utf8')) as Record<string, string>;
  for (const file of ['server/preview-props.json', 'prerender-manifest.json']) {
    const fixed = Object.entries(props).reduce((text, [name, key]) => text.replaceAll(key, createHash('sha256').update(name).digest('hex').slice(0, key.length)), readFileSync(join(built, file), 'utf8'));
    writeFileSync(join(built, file), fixed);
  }
}

/** Next lists what would change pictures for each image of ours, which serves them as they are (`unoptimized`). */
function dropPictureLibrary(packages: string): void {
  for (const name of readdirSync(packages)) if (/^(sharp@|@img\+)/.test(name)) rmSync(join(packages, name), { recursive: true });
  for (const entry of readdirSync(packages, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink() && !existsSync(path)) rmSync(path);
  }
}

/** Nothing of the machine that built it may be in an image. @throws Error with the files that have the clone's place in them */
function refuseTraces(out: string): void {
  const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const found = files.filter((file) => readFileSync(file).includes(ROOT));
  if (found.length > 0) throw new Error(`the place of this clone is in ${found.slice(0, 5).join(', ')}`);
}
