import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TRUST_DOMAIN, workloadUri } from '../test/certificates.ts';
import { addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, TestMesh, until } from '../test/mesh.ts';

let mesh: TestMesh;
let child: ChildProcess | undefined;
let output: string;
/** Requests that the application got. */
let served: number;

beforeEach(async () => {
  mesh = await TestMesh.start();
  output = '';
  served = 0;
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await mesh.close();
});

/** Runs the real process. Variables that are undefined are left out. */
function start(token: string | undefined, settings: Record<string, string> = {}): ChildProcess {
  const { joinUrl, streamUrl, stateDir, bootstrapBundleFile } = mesh.config('a');
  const tokenFile = join(mesh.directory, 'a.token');
  if (token !== undefined) writeFileSync(tokenFile, `${token}\n`);
  const env = {
    SALLYPORT_PROXY: 'a', SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: TRUST_DOMAIN, SALLYPORT_JOIN_URL: joinUrl.href, SALLYPORT_STREAM_URL: streamUrl.href,
    SALLYPORT_BOOTSTRAP_BUNDLE_FILE: bootstrapBundleFile, SALLYPORT_STATE_DIR: stateDir, SALLYPORT_REPORT_INTERVAL: '200ms',
    ...(token === undefined ? {} : { SALLYPORT_JOIN_TOKEN_FILE: tokenFile }),
    ...settings,
  };
  const process_ = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [process_.stdout, process_.stderr]) stream.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  child = process_;
  return process_;
}

async function entriesWithApp(delay: number): Promise<{ entries: Entries; port: number }> {
  const port = await freePort();
  const app = await mesh.app((_req, res) => {
    served += 1;
    setTimeout(() => res.end('slow but sure'), delay);
  });
  const entries = baseEntries(mesh.operator.ca.root);
  addWorkload(entries, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }], outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] }, { port });
  addService(entries, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  return { entries, port };
}

const exit = (process_: ChildProcess) => new Promise<number | null>((resolve) => process_.once('exit', resolve));
const ready = () => until('both SVIDs in a report', () => mesh.operator.reports.at(-1)?.svids.length === 2);

it('joins, serves its own calls to itself over mTLS, and on SIGTERM finishes what is in flight and reports it', async () => {
  const { entries } = await entriesWithApp(500);
  mesh.operator.configure('a', entries);
  const process_ = start(mesh.operator.token('a'));
  await ready();
  const answer = call({ socketPath: mesh.socketPath('web'), path: '/slow', headers: { host: 'api' } });
  await until('the request at the application', () => served === 1);
  const exited = exit(process_);
  process_.kill('SIGTERM');
  expect(await answer).toMatchObject({ status: 200, body: 'slow but sure' });
  expect(await exited).toBe(0);
  const flows = mesh.operator.reports.flatMap((report) => report.flows);
  expect(countOf(flows, (flow) => flow.samplePath === '/slow' && flow.mtls === 'mutual' && flow.verdict === 'allowed')).toBe(2);
  expect(output).not.toMatch(/defect|Warning|PRIVATE/);
});

it('tells calls in the access log, and opens it anew on SIGHUP', async () => {
  const { entries } = await entriesWithApp(0);
  mesh.operator.configure('a', entries);
  const file = join(mesh.directory, 'access.log');
  const process_ = start(mesh.operator.token('a'), { SALLYPORT_ACCESS_LOG: file });
  await ready();
  const sides = (path: string, at: string) => until(`${path} in ${at}`, () => {
    const lines = existsSync(at) ? readFileSync(at, 'utf8').split('\n').filter((line) => line.includes(`"path":"${path}"`)) : [];
    return lines.length === 2 && lines.map((line) => (JSON.parse(line) as { side: string }).side).sort();
  });
  await call({ socketPath: mesh.socketPath('web'), path: '/one?secret=1', headers: { host: 'api' } });
  expect(await sides('/one', file)).toEqual(['inbound', 'outbound']);
  renameSync(file, `${file}.1`);
  process_.kill('SIGHUP');
  await until('the new file', () => existsSync(file));
  await call({ socketPath: mesh.socketPath('web'), path: '/two', headers: { host: 'api' } });
  expect(await sides('/two', file)).toEqual(['inbound', 'outbound']);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(`${file}.1`, 'utf8')).not.toContain('secret');
  expect(process_.exitCode).toBeNull();
});

it('comes back by its machine key after kill -9, over its own stale socket, without a token', async () => {
  const { entries } = await entriesWithApp(0);
  mesh.operator.configure('a', entries);
  const first = start(mesh.operator.token('a'));
  await ready();
  const exited = exit(first);
  first.kill('SIGKILL');
  await exited;
  const issued = mesh.operator.issued;
  start(undefined);
  await until('new SVIDs', () => mesh.operator.issued >= issued + 2);
  await until('an answer', async () => (await call({ socketPath: mesh.socketPath('web'), path: '/', headers: { host: 'api' } }).catch(() => null))?.status === 200);
  expect(mesh.operator.joins).toEqual(['a']);
});

it('says what to do when the token is not accepted, and goes on trying', async () => {
  start('0'.repeat(40));
  await until('the remedy', () => output.includes('Make a new join token for this proxy'));
  expect(child?.exitCode).toBeNull();
  expect(output).not.toContain('0'.repeat(40));
});

it('ends with 2 and the file when the state cannot be used', async () => {
  const { stateDir } = mesh.config('a');
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, 'machine-key.pem'), 'nonsense');
  expect(await exit(start(mesh.operator.token('a')))).toBe(2);
  expect(output).toContain('machine-key.pem holds no private key in PEM');
});
