// What must be in place before the pinned Node can take over: packages, generated code, the console's build.
// Each step leaves a stamp with the hash of what it read, so that a later run costs only the hashing.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const NODE = join(ROOT, 'node_modules/node/bin/node');
export const PNPM = 'pnpm@12';
const SKIPPED = new Set(['node_modules', '.next', 'test-results', 'generated']);
const started = Date.now();

/** Something that the person at the terminal can mend, with how. */
export class Trouble extends Error {
  constructor(message, remedy) {
    super(message);
    this.remedy = remedy;
  }
}

/** A progress line with the seconds since the start. */
function progress(text) {
  console.log(`[${String(Math.round((Date.now() - started) / 1000)).padStart(3)} s] ${text}`);
}

export async function ensureInstall() {
  const hash = hashOf(['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...packageFiles()]);
  const stamp = join(ROOT, 'node_modules/.sallyport-install');
  if (existsSync(NODE) && isStamped(stamp, hash)) return;
  const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
  const args = ['--yes', PNPM, 'install', '--frozen-lockfile', '--reporter=append-only'];
  // CI=true: pnpm then never stops to ask whether it may replace node_modules.
  await quietly('installing packages', npx, args, { CI: 'true' }, 'check the network and the npm registry setting (npm config get registry), then run the same command again');
  if (!existsSync(NODE)) throw new Trouble('the pinned Node 24 was not installed', 'delete node_modules and run the same command again');
  writeFileSync(stamp, hash);
}

export async function ensureGenerated() {
  await quietly('generating the database client', NODE, [join(ROOT, 'tools/generate.ts'), '--if-needed'], {}, 'run "npm run generate" and read its output', true);
}

export async function ensureConsole() {
  const web = join(ROOT, 'apps/web');
  const hash = hashOf(['pnpm-lock.yaml', 'tsconfig.base.json', ...filesBelow(web), ...filesBelow(join(ROOT, 'packages/shared'))]);
  const stamp = join(web, '.next/.sallyport-build');
  if (isStamped(stamp, hash)) return;
  const next = join(web, 'node_modules/next/dist/bin/next');
  await quietly('building the console', NODE, [next, 'build'], { NEXT_TELEMETRY_DISABLED: '1' }, 'read the lines above; "npm run demo" tries again', false, web);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
}

function packageFiles() {
  return ['apps', 'packages', 'bench'].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => join(folder, name, 'package.json')).filter((file) => existsSync(join(ROOT, file))),
  );
}

function filesBelow(folder) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name) || entry.name.endsWith('.tsbuildinfo') || entry.name === 'next-env.d.ts') continue;
    // Tests do not reach the console's build.
    if (/\.test\.tsx?$/.test(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path));
    else if (statSync(path).isFile()) found.push(relative(ROOT, path));
  }
  return found;
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of [...files].toSorted((a, b) => (a < b ? -1 : 1))) hash.update(`${file}\0`).update(readFileSync(join(ROOT, file))).update('\0');
  return hash.digest('hex');
}

function isStamped(stamp, hash) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
}

/** Runs a step, keeping its output for the case that it fails; says every 5 s that it is still at work. */
async function quietly(what, file, args, env, remedy, silent = false, cwd = ROOT) {
  if (!silent) progress(`${what} …`);
  const tail = [];
  const keep = (chunk) => {
    tail.push(chunk);
    while (tail.length > 400) tail.shift();
  };
  const beat = setInterval(() => progress(`${what} …`), 5000);
  const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const forward = (signal) => child.kill(signal);
  process.once('SIGINT', forward).once('SIGTERM', forward);
  const outcome = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  clearInterval(beat);
  process.off('SIGINT', forward).off('SIGTERM', forward);
  if (outcome === 0) return;
  const lines = tail.join('').trimEnd().split('\n').slice(-40).join('\n');
  throw new Trouble(`${what} failed (${outcome}):\n${lines}`, remedy);
}
