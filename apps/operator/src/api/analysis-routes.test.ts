import { type ApiError, blastView, diffView, explainView, lintView, reachView, unusedView } from '@sallyport/shared/api';
import type { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AnalysisThread, NotComputed } from '../observe/analysis-thread.ts';
import { ensureUser } from '../history/users.ts';
import { openDatabase } from '../store/postgres/client.ts';
import { startOperator, type TestOperator } from '../testing/operator.ts';

const API = 'sallyport.dev/v1alpha1';
const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: API, kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
const workload = (name: string, address: string) =>
  doc('Workload', name, 'shop', { serviceAccount: name, address, proxy: 'node-1', inbound: [{ port: 8080, protocol: 'http', app: `unix:/run/${name}.sock` }] }, { app: name });
const policy = (name: string, spec: object) => doc('AuthorizationPolicy', name, 'shop', spec);
const ID = (name: string) => `spiffe://shop.test/ns/shop/sa/${name}`;
const FROM_WEB = { from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }], to: [{ operation: { methods: ['POST'], paths: ['/charge'] } }] };
const SHOP = [
  doc('Mesh', 'default', null, { trustDomain: 'shop.test' }),
  workload('web', '127.0.0.11'), workload('card', '127.0.0.12'), workload('db', '127.0.0.13'),
  doc('Service', 'cards', 'shop', { selector: { app: 'card' }, ports: [{ port: 80, targetPort: 8080 }] }),
  policy('card-callers', { selector: { matchLabels: { app: 'card' } }, action: 'ALLOW', rules: [FROM_WEB] }),
  policy('db-callers', { selector: { matchLabels: { app: 'db' } }, action: 'ALLOW', rules: [{ from: [{ source: { principals: ['shop.test/ns/shop/sa/card'] } }] }] }),
  policy('nobody', { selector: { matchLabels: { app: 'gone' } }, action: 'ALLOW', rules: [FROM_WEB] }),
].join('\n---\n');

let operator: TestOperator;
beforeAll(async () => {
  operator = await startOperator();
  await operator.call('POST', '/apply', { manifest: SHOP });
  // Views read the cache, which follows the store.
  for (let left = 100; left > 0 && (await ask('/policies/lint', lintView)).analysed.policies < 3; left -= 1) await new Promise((go) => setTimeout(go, 50));
});
afterAll(async () => operator.close());

async function ask<S extends z.ZodType>(path: string, schema: S, body?: object): Promise<z.infer<S>> {
  const answer = await operator.call(body ? 'POST' : 'GET', path, body);
  if (answer.status !== 200) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  return schema.parse(answer.body);
}
const refusal = async (path: string, body?: object) => {
  const answer = await operator.call(body ? 'POST' : 'GET', path, body);
  return { status: answer.status, ...(answer.body as ApiError).error };
};

describe('who may ask', () => {
  it('is nobody who is not signed in, and nobody without the role', async () => {
    const database = openDatabase(operator.databaseUrl);
    await ensureUser(database, 'ann', 'a password of some length', ['auditor']);
    await database.$disconnect();
    const { token } = (await operator.call('POST', '/session?token=true', { username: 'ann', password: 'a password of some length' })).body as { token: string };
    const paths = ['/policies/lint', '/policies/reach?to=shop/card', '/policies/blast?from=plaintext', '/policies/unused'];
    for (const [method, path] of [...paths.map((each) => ['GET', each] as const), ['POST', '/policies/explain'] as const, ['POST', '/policies/diff'] as const]) {
      const body = method === 'POST' ? {} : undefined;
      const stranger = await operator.call(method, path, body, { authorization: '' });
      const auditor = await operator.call(method, path, body, { authorization: `Bearer ${token}` });
      expect([path, stranger.status, auditor.status]).toEqual([path, 401, 403]);
    }
  });
});

describe('GET /policies/lint', () => {
  it('finds what no author meant in the stored policies', async () => {
    const view = await ask('/policies/lint', lintView);
    expect(view.analysed).toEqual({ policies: 3, workloads: 3 });
    expect(view.findings).toContainEqual(expect.objectContaining({ code: 'selects-nothing', severity: 'warn', policy: 'shop/nobody' }));
    expect(view.counts.warn).toBe(view.findings.filter(({ severity }) => severity === 'warn').length);
  });
});

describe('POST /policies/explain', () => {
  it('names what decides a call to a service, with the defaults that were taken', async () => {
    const view = await ask('/policies/explain', explainView, { from: 'shop/web', to: 'shop/cards', port: 80, method: 'GET', path: '/charge?x=1' });
    expect(view.verdict).toMatchObject({ effect: 'DENY', status: 403, reason: 'policy-no-allow' });
    expect(view.call).toMatchObject({ principal: ID('web'), ip: '127.0.0.11', workload: 'shop/card', port: 8080, host: 'card.shop' });
    expect(view.matchedPath).toBe('/charge');
    expect(view.policies.map((each) => [each.policy, each.applies])).toEqual([['shop/card-callers', true], ['shop/db-callers', false], ['shop/nobody', false]]);
    expect(view.policies[0]?.rules[0]?.decidedBy).toEqual(['spec.rules[0].to[0].operation.methods']);
    const allowed = await ask('/policies/explain', explainView, { from: ID('web'), to: 'shop/card', method: 'POST', path: '/charge', headers: [{ name: 'X-A', value: '1' }], claims: { sub: 'ann' } });
    expect(allowed.decidedBy).toMatchObject({ policy: 'shop/card-callers', rule: 0 });
    expect(allowed.call).toMatchObject({ headers: [{ name: 'x-a', value: '1' }], claims: '{"sub":"ann"}' });
  });

  it('says what is wrong with a call that cannot be', async () => {
    expect(await refusal('/policies/explain', { from: 'plaintext', to: 'shop/nothing' })).toMatchObject({ status: 400, message: 'there is no workload or service shop/nothing' });
    expect(await refusal('/policies/explain', { from: 'spiffe://', to: 'shop/card' })).toMatchObject({ status: 400, code: 'invalid' });
    expect(await refusal('/policies/explain', { from: 'plaintext', to: 'shop/card', ip: 'nowhere' })).toMatchObject({ status: 400 });
  });
});

describe('GET /policies/reach and /policies/blast', () => {
  it('says who gets in, and by what', async () => {
    const view = await ask('/policies/reach?to=shop/card', reachView);
    expect(view.by.map(({ principal, ways }) => [principal, ways[0]?.how?.policy, ways[0]?.everything])).toEqual([[ID('web'), 'shop/card-callers', false]]);
    expect(view.by[0]?.ways[0]?.witness).toMatchObject({ workload: 'shop/card', method: 'POST', path: '/charge' });
    expect((await ask('/policies/reach?to=shop/card&port=9', reachView)).by).toEqual([]);
    expect((await ask('/policies/reach?to=shop/web', reachView)).by[0]).toMatchObject({ kind: 'plaintext', ways: [{ how: null }] });
    expect(await refusal('/policies/reach')).toMatchObject({ status: 400, message: 'to is required' });
  });

  it('follows an attacker from hop to hop', async () => {
    const view = await ask('/policies/blast?from=shop/web', blastView);
    expect(view.hops.map(({ hop, workload: reached, from }) => [hop, reached, from])).toEqual([[1, 'shop/card', ID('web')], [2, 'shop/db', 'shop/card']]);
    expect((await ask('/policies/blast?from=plaintext', blastView)).reached).toBe(3);
  });
});

describe('GET /policies/unused', () => {
  it('lists what nobody used, and that silence is no proof', async () => {
    const view = await ask('/policies/unused?window=1h', unusedView);
    expect(view.identities).toContainEqual({ identity: ID('web'), workload: 'shop/card', port: 8080, policy: 'shop/card-callers', rule: 0 });
    expect(view.caveat).toMatch(/not proof|says nothing/);
  });
});

describe('POST /policies/diff', () => {
  it('finds the class of calls that changes, with a witness, and writes nothing', async () => {
    const manifest = policy('card-callers', { selector: { matchLabels: { app: 'card' } }, action: 'ALLOW', rules: [{ ...FROM_WEB, to: [{ operation: { methods: ['POST', 'PUT'], paths: ['/charge'] } }] }] });
    const view = await ask('/policies/diff', diffView, { manifest });
    expect(view).toMatchObject({ equal: false, complete: true, workloads: { compared: 3, changed: 1 } });
    expect(view.changes).toHaveLength(1);
    expect(view.changes[0]).toMatchObject({ before: 'DENY', after: 'ALLOW', workloads: ['shop/card'], witness: { call: { principal: ID('web'), method: 'PUT', path: '/charge' } } });
    const stored = await ask('/policies/explain', explainView, { from: 'shop/web', to: 'shop/card', method: 'PUT', path: '/charge' });
    expect(stored.verdict.effect).toBe('DENY');
  });

  it('proves that nothing changes, and refuses what admission refuses', async () => {
    const manifest = policy('card-callers', { selector: { matchLabels: { app: 'card' } }, action: 'ALLOW', rules: [FROM_WEB] });
    expect(await ask('/policies/diff', diffView, { manifest })).toMatchObject({ equal: true, complete: true, changes: [] });
    expect(await refusal('/policies/diff', { manifest: '' })).toMatchObject({ status: 400, message: 'the manifest holds no document' });
    expect(await refusal('/policies/diff', { manifest: policy('x', { rulez: [] }) })).toMatchObject({ status: 400 });
  });
});

describe('AnalysisThread', () => {
  it('gives up at its deadline and answers the next question', async () => {
    const material = { policies: { mesh: { trustDomain: 'shop.test', rootNamespace: 'root' } as never, authorizationPolicies: [], peerAuthentications: [] }, universe: { workloads: [], services: [] } };
    await expect(new AnalysisThread({ deadlineMs: 0, waiting: 16 }).run('lint', material, null)).rejects.toThrow(NotComputed);
    await expect(new AnalysisThread({ deadlineMs: 1, waiting: 16 }).run('lint', material, null)).rejects.toThrow(NotComputed);
    await expect(new AnalysisThread({ deadlineMs: 20_000, waiting: 0 }).run('lint', material, null)).rejects.toThrow('too many analyses');
    const thread = new AnalysisThread();
    const [first, second] = [thread.run('lint', material, null), thread.run('lint', material, null)];
    expect(await first).toBe(await second);
    await expect(thread.run('reach', material, { to: 'a/b', port: null })).rejects.toThrow('there is no workload');
  });
});
