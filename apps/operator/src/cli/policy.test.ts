import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Explanation, Finding, PolicyDiff, Suggestion } from '@sallyport/shared/analysis';
import { parseManifest } from '@sallyport/shared/resources';
import { aFlow } from '@sallyport/shared/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { COVERAGE, sallyport, scratch, TestApi, WINDOW } from './test-server.ts';

const API = 'apiVersion: sallyport.dev/v1alpha1';
const MESH = `${API}
kind: Mesh
metadata: {name: default}
spec: {trustDomain: shop.test}
---
${API}
kind: Workload
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {serviceAccount: web, proxy: node-a, address: 10.0.0.1, inbound: [{port: 8080, protocol: http, app: "127.0.0.1:9001"}]}
---
${API}
kind: Workload
metadata: {name: card, namespace: pay, labels: {app: card}}
spec: {serviceAccount: card, proxy: node-a, address: 10.0.0.2, inbound: [{port: 8080, protocol: http, app: "127.0.0.1:9002"}]}
---
${API}
kind: Service
metadata: {name: cards, namespace: pay}
spec: {selector: {app: card}, ports: [{port: 80, targetPort: 8080}]}
`;
const policy = (rules: string, action = 'ALLOW') => `${API}
kind: AuthorizationPolicy
metadata: {name: callers, namespace: pay}
spec: {selector: {matchLabels: {app: card}}, action: ${action}, rules: [${rules}]}
`;
const FROM_WEB = '{from: [{source: {principals: [shop.test/ns/shop/sa/web]}}], to: [{operation: {methods: [POST], paths: [/charge]}}]}';

let api: TestApi;
let folder: string;
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const run = (...args: string[]) => sallyport(['policy', ...args], { SALLYPORT_STATE: join(folder, 'state') });
const online = (...args: string[]) => sallyport(['policy', ...args], { SALLYPORT_STATE: join(folder, 'state'), SALLYPORT_SERVER: api.url, SALLYPORT_USERNAME: 'ann', SALLYPORT_PASSWORD: 'secret' });

beforeAll(async () => {
  api = new TestApi();
  await api.listen();
});
afterAll(() => api.close());
beforeEach(() => {
  folder = scratch();
  mkdirSync(join(folder, 'mesh'));
  writeFileSync(join(folder, 'mesh', 'mesh.yaml'), MESH);
  writeFileSync(join(folder, 'mesh', 'policy.yaml'), policy(FROM_WEB));
  api.answers.clear();
});
afterEach(() => rmSync(folder, { recursive: true }));
const mesh = () => join(folder, 'mesh');

describe('policy, offline on files', () => {
  it('explains a call by workload, service and normal form', async () => {
    const yes = await run('explain', '-f', mesh(), '--from', 'shop/web', '--to', 'pay/cards:80', '--method', 'POST', '--path', '/x/../charge?a=1', '-o', 'json');
    const explanation = JSON.parse(yes.stdout) as Explanation;
    expect(yes.code).toBe(0);
    expect(explanation).toMatchObject({ workload: 'pay/card', path: '/charge', verdict: { effect: 'ALLOW' }, decidedBy: { policy: 'pay/callers', rule: 0 } });
    const no = await run('explain', '-f', mesh(), '--from', 'plaintext', '--to', 'pay/card', '--header', 'x-a=b');
    expect(no.stdout).toContain('DENY 403: no rule of ALLOW pay/callers matches');
    expect(no.stdout).toContain('from[0].source.principals does not match (plaintext)');
  });

  it('compares a proposal with a whole set, and two whole sets', async () => {
    const wider = file('wider.yaml', policy(FROM_WEB.replace('[POST]', '[POST, PUT]')));
    const changed = await run('diff', '-f', mesh(), '--after', wider, '-o', 'json');
    expect(changed.code).toBe(1);
    expect(JSON.parse(changed.stdout) as PolicyDiff).toMatchObject({ equal: false, more: 0, changes: [{ before: 'DENY', after: 'ALLOW', workloads: ['pay/card'], witness: { request: { http: { method: 'PUT', target: '/charge' } } } }] });
    const same = await run('diff', '-f', mesh(), '--after', join(mesh(), 'policy.yaml'));
    expect([same.code, same.stdout]).toEqual([0, expect.stringContaining('No difference: proven for every call to 2 workloads')]);
    const without = await run('diff', '--before', file('old.yaml', policy(FROM_WEB)), '--after', wider);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain('no Workload is given');
    expect(without.stdout).toContain('DENY -> ALLOW  pay/app=card');
  });

  it('says who reaches what', async () => {
    const who = await run('reach', '-f', mesh(), '--to', 'pay/card');
    expect(who.stdout).toMatch(/pay\/card +8080 +PERMISSIVE +spiffe:\/\/shop.test\/ns\/shop\/sa\/web +some +pay\/callers rule 0/);
    expect(who.stdout).not.toContain('plaintext');
    const far = await run('reach', '-f', mesh(), '--from', 'plaintext');
    expect(far.stdout).toContain('reaches 2 of 2 workloads');
    expect(await run('reach', '-f', mesh(), '--from', 'shop/web', '--to', 'pay/card')).toMatchObject({ code: 2 });
  });

  it('suggests, replays and finds the unused from a file of flows', async () => {
    const flow = aFlow('shop/web', 'pay/card', { path: '/charge', samplePath: '/charge', method: 'POST' });
    const flows = file('flows.json', JSON.stringify({ items: [flow, { ...flow, source: { principal: null, ip: '10.9.9.9' }, mtls: 'plaintext' }] }));
    const bare = file('bare.yaml', MESH);
    const suggested = await run('suggest', '-f', bare, '--flows', flows);
    expect(parseManifest(suggested.stdout)).toMatchObject([{ metadata: { name: 'observed-card', namespace: 'pay' } }]);
    expect(suggested.stderr).toContain('CUT OFF: 10 calls POST /charge to pay/card:8080 from 10.9.9.9 in plaintext');
    expect((JSON.parse((await run('suggest', '-f', bare, '--flows', flows, '--admit-plaintext', '-o', 'json')).stdout) as Suggestion).cutOff).toEqual([]);
    const replayed = await run('replay', '-f', mesh(), '--after', file('none.yaml', policy('')), '--flows', flows);
    expect(replayed.code).toBe(1);
    expect(replayed.stdout).toMatch(/would deny +10 +spiffe/);
    expect(replayed.stdout).toContain('20 calls replayed: 0 stay allowed, 10 stay denied.');
    expect((await run('reach', '-f', mesh(), '--unused', '--flows', flows)).code).toBe(0);
    expect((await run('reach', '-f', mesh(), '--unused', '--flows', file('no.json', '[]'))).code).toBe(1);
  });

  it('lints, and fails for errors alone', async () => {
    expect((await run('lint', '-f', mesh())).code).toBe(0);
    const bad = await run('lint', '-f', mesh(), file('deny.yaml', policy('{from: [{source: {namespaces: [shop]}}]}', 'DENY')), '-o', 'json');
    expect(bad.code).toBe(1);
    expect((JSON.parse(bad.stdout) as Finding[])[0]).toMatchObject({ code: 'evaded-by-plaintext', severity: 'error', policy: 'pay/callers' });
  });

  it.each([
    [['explain', '--from', 'x'], '--to'],
    [['explain', '-f', '.', '--from', 'nobody', '--to', 'pay/card'], 'names nobody'],
    [['explain', '-f', '.', '--from', 'plaintext', '--to', 'pay/gone'], 'known are shop/web, pay/card'],
    [['explain', '-f', '.', '--from', 'plaintext', '--to', 'pay/card', '--claims', '[]'], 'not a JSON object'],
    [['diff', '-f', '.', '--after', '/nowhere'], 'no such file'],
    [['diff', '-f', '.', '--after', '.', '--limit', '0'], 'not a whole number'],
    [['suggest', '-f', '.'], 'no recorded flows'],
  ])('refuses %j', async (args, message) => {
    const result = await run(...args.map((arg) => (arg === '.' ? mesh() : arg)));
    expect([result.code, result.stdout]).toEqual([2, '']);
    expect(result.stderr).toContain(message);
  });

  it('names file and field of a bad document', async () => {
    const result = await run('lint', '-f', file('bad.yaml', policy('{form: []}')));
    expect([result.code, result.stderr]).toEqual([2, expect.stringMatching(/bad\.yaml: AuthorizationPolicy pay\/callers: spec\.rules\[0\]: unknown field "form"/)]);
  });

  it.each(['explain', 'diff', 'reach', 'suggest', 'replay', 'lint'])('shows an example in the help of %s', async (name) => {
    const { code, stdout } = await run(name, '--help');
    expect([code, stdout.includes(`Example:\n  sallyport policy ${name}`), stdout.includes('Exit codes')]).toEqual([0, true, true]);
  });
});

describe('policy, online on the store', () => {
  beforeEach(() => {
    const stored = parseManifest(`${MESH}---\n${policy(FROM_WEB)}`);
    const plurals = { Mesh: 'meshes', Workload: 'workloads', Service: 'services', AuthorizationPolicy: 'authorizationpolicies', PeerAuthentication: 'peerauthentications', RequestAuthentication: 'requestauthentications' };
    for (const [kind, plural] of Object.entries(plurals)) api.answers.set(`GET /resources/${plural}`, [200, { items: stored.filter((object) => object.kind === kind), revision: '1' }]);
  });

  it('reads resources and flows through the API', async () => {
    const flow = aFlow('shop/web', 'pay/card', { path: '/charge', samplePath: '/charge', method: 'POST' });
    api.answers.set('GET /flows?window=1h', [200, { window: WINDOW, coverage: COVERAGE, total: 3, items: [flow] }]);
    const result = await online('replay', '--after', file('none.yaml', policy('')), '--window', '1h');
    expect(result.code).toBe(1);
    expect(result.stdout).toMatch(/would deny +10/);
    expect(result.stderr).toContain('only the 1 most frequent of 3 kinds of call');
    expect(result.stderr).toContain('1 of 2 proxies reporting');
  });

  it('compares a proposal with what is stored', async () => {
    const same = await online('diff', '--after', file('same.yaml', policy(FROM_WEB)));
    expect([same.code, same.stdout]).toEqual([0, expect.stringContaining('No difference')]);
    expect((await online('explain', '--from', 'shop/web', '--to', 'pay/cards', '--method', 'POST', '--path', '/charge')).stdout).toContain('ALLOW 200');
  });

  it('ends with 3 when nobody is there', async () => {
    expect(await run('lint', '--server', 'http://127.0.0.1:1')).toMatchObject({ code: 3, stdout: '' });
  });
});
