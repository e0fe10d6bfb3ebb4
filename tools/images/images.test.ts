import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../../apps/operator/src/testing/database.ts';
import { until } from '../../apps/operator/src/testing/until.ts';
import { ROOT } from './bundle.ts';
import { contentsOf } from './digest.ts';

const APPS = ['operator', 'dataplane'] as const;
const PASSWORD = 'correct horse battery staple';
/** Whoever runs this; as root, the user of the images. */
const USER = process.getuid?.() === 0 ? { uid: 65_532, gid: 65_532 } : {};
const BUILD_MS = 300_000;

let scratch: string;
/** The same clone at another place. */
let copy: string;
let node: string;
let child: ChildProcess | undefined;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-images-'));
  chmodSync(scratch, 0o755);
  // Beside the clone's own state: hard links do not leave a file system.
  copy = join(ROOT, `.sallyport/images-test-${process.pid}`);
  mkdirSync(copy, { recursive: true });
  const parts = ['apps', 'packages', 'prisma', 'tools', 'node_modules', 'package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'tsconfig.base.json'];
  execFileSync('cp', ['-al', ...parts.map((part) => join(ROOT, part)), copy]);
  for (const [place, out] of [[ROOT, 'here'], [copy, 'there']] as const) execFileSync(process.execPath, [join(place, 'tools/images/build.ts'), '--out', join(scratch, out), ...APPS], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (const app of APPS) readOnly(join(scratch, 'here', app, 'app'), join(scratch, app));
  node = join(scratch, 'node');
  copyFileSync(process.execPath, node);
  chmodSync(node, 0o755);
}, BUILD_MS);
afterEach(() => void child?.kill('SIGKILL'));
afterAll(() => {
  for (const folder of [scratch, copy]) rmSync(folder, { recursive: true, force: true });
});

/** What an image's file system is: to be read by everybody and written by nobody. */
function readOnly(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
  for (const entry of readdirSync(to, { recursive: true, withFileTypes: true })) chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o555 : 0o444);
  chmodSync(to, 0o555);
}

/** A directory that the image's user may write. */
function ownDirectory(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory, { mode: 0o700 });
  if (USER.uid !== undefined) chownSync(directory, USER.uid, USER.gid);
  return directory;
}

function start(program: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  child = spawn(node, [join(scratch, program), ...args], { cwd: '/', env, ...USER, stdio: ['ignore', 'pipe', 'pipe'] });
  return child;
}

async function ended(process_: ChildProcess): Promise<{ code: number | null; text: string }> {
  let text = '';
  for (const stream of [process_.stdout, process_.stderr]) stream?.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  const [code] = (await once(process_, 'close')) as [number | null];
  return { code, text };
}

describe.each(APPS)('the bundle of the %s', (app) => {
  it('is the same, byte by byte, from another clone of the same sources', () => {
    const [here, there] = ['here', 'there'].map((place) => contentsOf(join(scratch, place, app, 'app')));
    expect(there).toEqual(here);
    expect(readFileSync(join(scratch, 'there', app, 'sbom.cdx.json'), 'utf8')).toBe(readFileSync(join(scratch, 'here', app, 'sbom.cdx.json'), 'utf8'));
  });

  it('has its packages inside, and names them and no tool of development in its bill of materials', () => {
    const names = readdirSync(join(scratch, app), { recursive: true }) as string[];
    expect(names.filter((name) => name.includes('node_modules') || name.endsWith('.ts'))).toEqual([]);
    const { components, specVersion } = JSON.parse(readFileSync(join(scratch, 'here', app, 'sbom.cdx.json'), 'utf8')) as { specVersion: string; components: { name: string; purl: string }[] };
    const listed = components.map(({ name }) => name);
    expect(specVersion).toBe('1.6');
    expect(listed).toEqual(expect.arrayContaining(['zod', 'pino']));
    expect(listed.filter((name) => /^(vitest|typescript|oxlint|knip|esbuild)$/.test(name))).toEqual([]);
  });

  it('says nothing of the machine that made it', () => {
    const files = readdirSync(join(scratch, app), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files.filter((file) => readFileSync(file).includes(ROOT))).toEqual([]);
  });
});

describe('read-only and not as root', () => {
  it('the operator brings a database up, signs in, analyses in its thread and stops', async () => {
    const state = ownDirectory('operator-state');
    const ports = { SALLYPORT_API_PORT: '0', SALLYPORT_JOIN_PORT: '0', SALLYPORT_STREAM_PORT: '0' };
    const operator = start('operator/main.mjs', [], { DATABASE_URL: await createTestDatabase(), SALLYPORT_STATE_DIR: state, SALLYPORT_ADMIN_PASSWORD: PASSWORD, ...ports });
    const api = await readyPort(operator);
    const signedIn = await fetch(`http://127.0.0.1:${api}/api/v1/session?token=true`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'admin', password: PASSWORD }) });
    const { token } = (await signedIn.json()) as { token: string };
    const lint = await fetch(`http://127.0.0.1:${api}/api/v1/policies/lint`, { headers: { authorization: `Bearer ${token}` } });
    expect({ status: lint.status, text: await lint.text() }).toMatchObject({ status: 200 });
    operator.kill('SIGTERM');
    expect((await once(operator, 'exit'))[0]).toBe(0);
  });

  it('the command line talks', async () => {
    expect(await ended(start('operator/sallyport.mjs', ['policy', '--help'], {}))).toMatchObject({ code: 0, text: expect.stringContaining('explain') as unknown });
  });

  it('the proxy serves its health before it knows anybody', async () => {
    const state = ownDirectory('proxy-state');
    const roots = join(scratch, 'roots.pem');
    writeFileSync(roots, execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=root', '-keyout', '/dev/null'], { stdio: ['ignore', 'pipe', 'ignore'] }));
    const token = join(scratch, 'token');
    writeFileSync(token, 'none\n');
    const socket = join(state, 'workload.sock');
    const proxy = start('dataplane/main.mjs', [], {
      SALLYPORT_PROXY: 'a', SALLYPORT_ROLE: 'node', SALLYPORT_TRUST_DOMAIN: 'td', SALLYPORT_JOIN_URL: 'https://127.0.0.1:9', SALLYPORT_STREAM_URL: 'https://127.0.0.1:9', SALLYPORT_JOIN_TOKEN_FILE: token,
      SALLYPORT_BOOTSTRAP_BUNDLE_FILE: roots, SALLYPORT_STATE_DIR: state, SALLYPORT_WORKLOAD_API_LISTEN: `unix://${socket}`,
    });
    const admin = await new Promise<string>((resolve) => proxy.stdout?.on('data', (chunk: Buffer) => {
      const port = /"admin[A-Za-z]*":"?(?:[\d.]+:)?(\d+)/.exec(chunk.toString())?.[1];
      if (port !== undefined) resolve(port);
    }));
    const health = () => fetch(`http://127.0.0.1:${admin}/healthz`).then(({ status }) => status, () => 0);
    expect(await until(health, (status) => status === 200)).toBe(200);
  });

  it('the rules’ program says how it is used', async () => {
    expect(await ended(start('dataplane/redirect.mjs', [], {}))).toMatchObject({ code: 2, text: expect.stringContaining('sallyport-redirect apply|check|remove') as unknown });
  });

  it('the proxy’s way to ask the kernel finds its native part', async () => {
    const question = join(scratch, 'question.cjs');
    writeFileSync(question, `console.log(require(${JSON.stringify(join(scratch, 'dataplane/koffi.cjs'))}).load(null).func('int getpid()')() === process.pid);\n`);
    expect(await ended(start('question.cjs', [], {}))).toEqual({ code: 0, text: 'true\n' });
  });
});

async function readyPort(operator: ChildProcess): Promise<number> {
  let errors = '';
  operator.stderr?.on('data', (chunk: Buffer) => void (errors += chunk.toString()));
  if (operator.stdout === null) throw new Error('no output');
  for await (const line of createInterface(operator.stdout)) {
    const entry = JSON.parse(line) as { msg: string; api: number };
    if (entry.msg !== 'operator ready') continue;
    operator.stdout.resume();
    return entry.api;
  }
  throw new Error(`the operator ended: ${errors}`);
}
