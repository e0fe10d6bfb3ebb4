import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ROOT } from './settings.ts';
import { COVERAGE, failure, sallyport, scratch, TestApi, WINDOW } from './test-server.ts';

let api: TestApi;
let folder: string;
const run = (args: readonly string[], stdin?: string, env: Readonly<Record<string, string>> = {}) =>
  sallyport(args, { SALLYPORT_STATE: join(folder, 'state'), SALLYPORT_SERVER: api.url, SALLYPORT_USERNAME: 'ann', SALLYPORT_PASSWORD: 'secret', ...env }, stdin);

beforeAll(async () => {
  api = new TestApi();
  await api.listen();
});
afterAll(() => api.close());
beforeEach(() => {
  folder = scratch();
  api.received.length = 0;
  api.answers.clear();
  api.signIns = 0;
  return () => rmSync(folder, { recursive: true });
});

const edge = {
  source: 'service:shop/web', target: 'service:shop/cart', port: 8080, protocol: 'http', state: 'expected', declared: true, requests: 10, denied: 0, failed: 0,
  mtls: { mutual: 10, plaintext: 0, unknown: 0 }, reporters: ['node-a'], lastSeen: WINDOW.to, stale: false, methods: [], policies: [],
};
const graph = { window: WINDOW, coverage: COVERAGE, nodes: [], edges: [edge], hidden: { nodes: 0, edges: 0 } };

describe('signing in', () => {
  it('keeps the token in a file for its owner alone and uses it again', async () => {
    api.answers.set('GET /graph?window=15m', [200, graph]);
    expect((await run(['graph'])).code).toBe(0);
    expect((await run(['graph'])).code).toBe(0);
    expect(api.signIns).toBe(1);
    const file = join(folder, 'state', 'cli-token.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).not.toContain('secret');
  });

  it('signs in again when the token has ended', async () => {
    api.answers.set('GET /graph?window=15m', [200, graph]);
    await run(['graph']);
    api.token = 'token-2';
    expect((await run(['graph'])).code).toBe(0);
    expect(api.signIns).toBe(2);
    expect(api.received.map((request) => request.authorization)).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
    api.token = 'token-1';
  });

  it('takes address and sign-in from the demo of the clone, and sends its password nowhere else', async () => {
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'state', 'demo.json'), JSON.stringify({ consoleUrl: 'http://127.0.0.1:1', apiUrl: api.url, username: 'ann', password: 'secret', pid: 1, more: [] }));
    api.answers.set('GET /graph?window=15m', [200, graph]);
    expect(await sallyport(['graph'], { SALLYPORT_STATE: join(folder, 'state') })).toMatchObject({ code: 0 });
    const elsewhere = await sallyport(['graph', '--server', 'http://127.0.0.1:2'], { SALLYPORT_STATE: join(folder, 'state') });
    expect(elsewhere).toMatchObject({ code: 3, stdout: '' });
    expect(elsewhere.stderr).toContain('no sign-in for http://127.0.0.1:2');
  });

  it.each([
    ['wrong password', [], { SALLYPORT_PASSWORD: 'guess' }, 3, 'name or password is wrong'],
    ['nobody there', ['--server', 'http://127.0.0.1:1'], {}, 3, 'cannot reach http://127.0.0.1:1'],
    ['a password in the address', ['--server', 'http://ann:hunter2@127.0.0.1'], {}, 2, 'holds a name or password'],
    ['plaintext to another machine', ['--server', 'http://192.0.2.1'], {}, 2, 'only loopback may be http'],
    ['no address', ['--server', 'nowhere'], {}, 2, 'is not a URL'],
  ])('says what is wrong: %s', async (_, args, env, code, message) => {
    const result = await run(['graph', ...args], '', env);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toContain(message);
    expect(result.stderr).toContain('Remedy: ');
    expect(result.stderr).not.toMatch(/secret|guess|hunter2/);
  });

  it('says how to begin when no demo runs', async () => {
    const result = await sallyport(['graph'], { SALLYPORT_STATE: join(folder, 'state') });
    expect(result).toMatchObject({ code: 3, stdout: '' });
    expect(result.stderr).toContain('sallyport demo');
  });
});

describe('usage', () => {
  it.each([
    [['frobnicate'], 'unknown command'],
    [['get'], "missing required argument 'kind'"],
    [['get', 'frobs'], 'there is no kind "frobs"'],
    [['get', 'wl', 'web'], 'a namespace is needed'],
    [['get', 'wl', '../../session', '-n', 'shop'], 'is not a name'],
    [['graph', '-o', 'xml'], "Allowed choices are table, json, yaml"],
    [['apply', '-f', 'no-such-file'], 'no-such-file: no such file or directory'],
    [['strict', 'plan', 'a/b'], 'is not a name'],
    [['workload', 'enroll', 'web'], 'is not NAMESPACE/NAME'],
    [['demo', 'attack', 'all'], 'there is no attack "all"'],
    [['demo', '-o', 'json'], '-o json needs --detach'],
    [['evidence', 'export', '-O', 'x'], 'which period?'],
    [['evidence', 'export', '--window', '1 day', '-O', 'x'], 'is not a duration'],
    [['evidence', 'export', '--from', 'yesterday', '-O', 'x'], 'is not an instant'],
    [['evidence', 'verify', 'x'], '--key'],
  ])('is refused with 2: %j', async (args, message) => {
    const result = await run(args);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain(message);
    expect(api.received).toEqual([]);
  });

  it.each([
    [[]], [['demo']], [['demo', 'attack']], [['apply']], [['get']], [['delete']], [['graph']], [['namespaces']], [['strict']], [['strict', 'plan']],
    [['strict', 'apply']], [['strict', 'rollback']], [['certs']], [['signals']], [['denies']], [['proxies']], [['audit']], [['evidence']],
    [['evidence', 'export']], [['evidence', 'verify']], [['evidence', 'key']], [['workload', 'enroll']],
  ])('has help with an example: %j', async (args) => {
    const result = await run([...args, '--help']);
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/Example:\n {2}sallyport/);
  });

  it('runs from anywhere and through a symbolic link', () => {
    symlinkSync(join(ROOT, 'bin/sallyport'), join(folder, 'sp'));
    expect(spawnSync(join(folder, 'sp'), ['--help'], { cwd: '/', encoding: 'utf8' })).toMatchObject({ status: 0 });
  });

  it('says what to run first where nothing is installed', () => {
    cpSync(join(ROOT, 'bin'), join(folder, 'clone', 'bin'), { recursive: true });
    const result = spawnSync(join(folder, 'clone', 'bin', 'sallyport'), ['graph'], { encoding: 'utf8' });
    expect(result.status).toBe(3);
    expect(result.stderr).toContain('npm run demo');
  });
});

describe('views', () => {
  it('prints a table without colours in a pipe, and what it rests on beside it', async () => {
    const stale = { ...edge, source: 'address:192.0.2.9', state: 'denied', requests: 5, denied: 5, stale: true, mtls: { mutual: 0, plaintext: 3, unknown: 2 } };
    api.answers.set('GET /graph?window=1h&namespace=shop', [200, { ...graph, edges: [edge, { ...edge, target: 'service:shop/quiet', stale: true }, stale] }]);
    const result = await run(['graph', '--window', '1h', '-n', 'shop']);
    const lines = result.stdout.split('\n').map((line) => line.split(/ {3,}/));
    expect(lines).toEqual([
      ['SOURCE', 'TARGET', 'PORT', 'STATE', 'REQUESTS', 'DENIED', 'FAILED', 'MTLS', 'LAST SEEN'],
      ['service:shop/web', 'service:shop/cart', '8080', 'expected', '10', '0', '0', '100%', '0s'],
      ['service:shop/web', 'service:shop/quiet', '8080', 'expected', '10', '0', '0', '100% (gap)', '0s'],
      ['address:192.0.2.9', 'service:shop/cart', '8080', 'denied', '5', '5', '0', '0%, 3 plaintext, 2 unknown (gap)', '0s'],
      [''],
    ]);
    expect(result.stderr).toContain('1 of 2 proxies reporting, telemetry 75% complete since 2026-01-15T11:45:00.000Z; no data from node-b since 2026-01-15T11:50:00.000Z');
  });

  it('prints JSON and YAML that programs read', async () => {
    api.answers.set('GET /graph?window=15m', [200, graph]);
    expect(JSON.parse((await run(['graph', '-o', 'json'])).stdout)).toEqual(graph);
    expect(parseAllDocuments((await run(['graph', '-o', 'yaml'])).stdout)[0]?.toJS()).toEqual(graph);
  });

  it('prints certificates as the array that others rely on', async () => {
    const named = { spiffeId: 'spiffe://t/ns/a/sa/b', serial: '01', issuer: 'CN=x', notBefore: WINDOW.from, notAfter: WINDOW.to, lifetimeUsed: 0.5, workload: 'b', namespace: 'a' };
    api.answers.set('GET /certificates', [200, {
      items: [{ ...named, proxy: 'node-a', nextRotation: WINDOW.to, state: 'served' }], pastHalfRotationInterval: 1, coverage: COVERAGE,
      issuer: { subject: 'CN=x', notAfter: WINDOW.to, serial: '02' }, root: { subject: 'CN=r', notAfter: WINDOW.to, fingerprint: 'f' },
    }]);
    expect(JSON.parse((await run(['certs', '-o', 'json'])).stdout)).toEqual([named]);
  });

  it('lets no control character of a peer reach the terminal', async () => {
    const deny = {
      at: WINDOW.to, source: { principal: null, ip: '192.0.2.9', workload: null }, destination: { namespace: 'shop', workload: 'cart', service: 'cart', port: 8080 },
      method: 'GET', path: '/\u001b[2J\u202e', policy: null, reason: 'policy-no-allow', reporter: 'node-a', traceId: null,
    };
    api.answers.set('GET /denies?window=15m&limit=100', [200, { window: WINDOW, coverage: COVERAGE, total: 1, items: [deny] }]);
    const { stdout } = await run(['denies']);
    expect(stdout).toContain('/?[2J?');
    expect(stdout).toContain('192.0.2.9 (plaintext)');
  });

  it('fails when the audit chain is broken', async () => {
    api.answers.set('GET /audit?limit=50', [[200, { items: [], next: null, chain: 'intact' }], [200, { items: [], next: null, chain: 'broken' }]]);
    expect((await run(['audit'])).code).toBe(0);
    const broken = await run(['audit', '-o', 'json']);
    expect(broken.code).toBe(1);
    expect(broken.stderr).toContain('BROKEN');
  });

  it('says when the answer is of another version, and when something else answers', async () => {
    api.answers.set('GET /proxies', [[200, { items: [{}], revision: '1' }], [502, 'bad gateway']]);
    expect(await run(['proxies'])).toMatchObject({ code: 3, stderr: expect.stringContaining('items.0.name') });
    expect(await run(['proxies'])).toMatchObject({ code: 3, stderr: expect.stringContaining('status 502') });
  });
});

const policy = (name: string) => `apiVersion: sallyport.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: shop }\nspec: {}\n`;
const applied = (name: string) => ({ kind: 'AuthorizationPolicy', namespace: 'shop', name, action: 'created', generation: 1, resourceVersion: '1' });

describe('resources', () => {
  it('applies a file, a directory and standard input, all in one', async () => {
    mkdirSync(join(folder, 'dir'));
    writeFileSync(join(folder, 'a.yaml'), policy('a'));
    writeFileSync(join(folder, 'dir', 'c.yml'), policy('c'));
    writeFileSync(join(folder, 'dir', 'b.json'), JSON.stringify(parseAllDocuments(policy('b'))[0]?.toJS()));
    writeFileSync(join(folder, 'dir', 'README.md'), 'not a manifest');
    api.answers.set('POST /apply', [200, { dryRun: true, results: ['a', 'b', 'c', 'd'].map(applied) }]);
    const result = await run(['apply', '-f', join(folder, 'a.yaml'), '-f', join(folder, 'dir'), '-f', '-', '--dry-run', '--force'], policy('d'));
    expect(result.stdout).toBe(['a', 'b', 'c', 'd'].map((name) => `authorizationpolicy shop/${name} created (dry run)\n`).join(''));
    const body = api.received[0]?.body as { manifest: string };
    expect(body).toMatchObject({ dryRun: true, force: true });
    expect(parseAllDocuments(body.manifest).map((document) => (document.toJS() as { metadata: { name: string } }).metadata.name)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('names file, object and field of what is wrong, and sends nothing', async () => {
    writeFileSync(join(folder, 'bad.yaml'), `${policy('a')}---\n${policy('b').replace('spec: {}', 'spec: { actoin: DENY }')}`);
    const result = await run(['apply', '-f', join(folder, 'bad.yaml')]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('bad.yaml: AuthorizationPolicy shop/b: spec: unknown field "actoin"');
    writeFileSync(join(folder, 'huge.yaml'), Buffer.alloc(1024 * 1024 + 1, '#'));
    expect(await run(['apply', '-f', join(folder, 'huge.yaml')])).toMatchObject({ code: 2, stderr: expect.stringContaining('larger than') });
    expect(api.received).toEqual([]);
  });

  it('passes on a refusal with its remedy and every detail', async () => {
    api.answers.set('POST /apply', [[409, failure('conflict', 'spec.action is managed by console', 'use --force')], [403, failure('forbidden', 'this needs the role editor')]]);
    const result = await run(['apply', '-f', '-'], policy('a'));
    expect(result).toMatchObject({ code: 1, stderr: 'sallyport: spec.action is managed by console\nRemedy: use --force\n' });
    expect(await run(['apply', '-f', '-'], policy('a'))).toMatchObject({ code: 1, stderr: expect.stringContaining('role editor') });
  });

  it('shows and deletes by kind, plural or short name', async () => {
    const condition = { type: 'Programmed', status: 'True', reason: 'Programmed', message: '', lastTransitionTime: WINDOW.to, observedGeneration: 1 };
    const stored = { apiVersion: 'sallyport.dev/v1alpha1', kind: 'AuthorizationPolicy', metadata: { name: 'a', namespace: 'shop', generation: 1 }, spec: { action: 'ALLOW', enforcement: 'Enforce' }, status: { conditions: [condition] } };
    const old = { ...stored, metadata: { ...stored.metadata, name: 'b', generation: 2 } };
    api.answers.set('GET /resources/authorizationpolicies?namespace=shop', [200, { items: [stored, old], revision: '1' }]);
    api.answers.set('GET /resources/authorizationpolicies/shop/a', [200, stored]);
    api.answers.set('DELETE /resources/authorizationpolicies/shop/a', [204, null]);
    const table = await run(['get', 'ap', '-n', 'shop']);
    expect(table.stdout.split('\n')).toEqual([
      'NAMESPACE   NAME   ACTION   ENFORCEMENT   PROGRAMMED   AGE', 'shop        a      ALLOW    Enforce       True         -',
      'shop        b      ALLOW    Enforce       Pending      -', '',
    ]);
    expect(JSON.parse((await run(['get', 'AuthorizationPolicy', 'a', '-n', 'shop', '-o', 'json'])).stdout)).toEqual(stored);
    const yaml = await run(['get', 'authorizationpolicies', '-n', 'shop', '-o', 'yaml']);
    expect(parseAllDocuments(yaml.stdout).map((document) => document.toJS() as unknown)).toEqual([stored, old]);
    expect(await run(['delete', 'ap', 'a', '-n', 'shop'])).toMatchObject({ code: 0, stdout: 'authorizationpolicy shop/a deleted\n' });
    expect((await run(['get', 'ap', 'gone', '-n', 'shop'])).code).toBe(1);
  });

  it('enrols a workload and waits until its proxy serves it', async () => {
    const workload = (status: string, observedGeneration: number) => ({
      apiVersion: 'sallyport.dev/v1alpha1', kind: 'Workload', metadata: { name: 'old', namespace: 'shop', generation: 2 }, spec: { serviceAccount: 'old', address: '127.0.0.1', proxy: 'node-a' },
      status: { conditions: [{ type: 'Programmed', status, reason: 'R', message: 'refused: port taken', lastTransitionTime: WINDOW.to, observedGeneration }] },
    });
    api.answers.set('POST /workloads/shop/old/enroll', [200, workload('True', 1)]);
    api.answers.set('GET /resources/workloads/shop/old', [[200, workload('True', 1)], [200, workload('Unknown', 2)], [200, workload('True', 2)]]);
    expect(await run(['workload', 'enroll', 'shop/old', '--proxy', 'node-a', '--wait'])).toMatchObject({ code: 0, stdout: 'workload shop/old enrolled with proxy node-a\n' });
    expect(api.received[0]?.body).toEqual({ proxy: 'node-a' });
    expect(api.received).toHaveLength(4);
    api.answers.set('GET /resources/workloads/shop/old', [200, workload('False', 2)]);
    expect(await run(['workload', 'enroll', 'shop/old', '--wait'])).toMatchObject({ code: 1, stderr: expect.stringContaining('port taken') });
  });
});
