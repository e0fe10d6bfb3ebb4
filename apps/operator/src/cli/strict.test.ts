import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { COVERAGE, failure, sallyport, scratch, TestApi, WINDOW } from './test-server.ts';

let api: TestApi;
let folder: string;
const run = (args: readonly string[]) =>
  sallyport(args, { SALLYPORT_STATE: join(folder, 'state'), SALLYPORT_SERVER: api.url, SALLYPORT_USERNAME: 'ann', SALLYPORT_PASSWORD: 'secret' });

beforeAll(async () => {
  api = new TestApi();
  await api.listen();
});
afterAll(() => api.close());
beforeEach(() => {
  folder = scratch();
  api.received.length = 0;
  api.answers.clear();
  return () => rmSync(folder, { recursive: true });
});

describe('strict', () => {
  const blocker = {
    kind: 'plaintext-caller', source: { ip: '127.77.9.1', workload: 'old/billing' }, destination: { namespace: 'shop', workload: 'cart', service: 'cart' }, port: 8080, count: 7,
    lastSeen: WINDOW.to, message: 'old/billing called in plaintext', remedy: 'sallyport workload enroll old/billing',
  };
  const step = (state: string, log: string[]) => ({
    id: 's1', namespace: 'shop', state, canary: 'cart', startedBy: 'ann', startedAt: WINDOW.from, stageStartedAt: WINDOW.from, stageEndsAt: null, finishedAt: null, refusals: 0, reason: '',
    log: log.map((message) => ({ at: WINDOW.to, message })),
  });
  const plan = { namespace: 'shop', mode: 'PERMISSIVE', ready: false, blockers: [blocker], window: WINDOW, coverage: COVERAGE, calls: { mutual: 93, plaintext: 7, unknown: 0 }, step: null as unknown };

  it('plans: who forbids it, and whether it may', async () => {
    api.answers.set('GET /namespaces/shop/strict', [200, plan]);
    const table = await run(['strict', 'plan', 'shop']);
    expect(table.code).toBe(0);
    expect(table.stdout).toContain('old/billing (127.77.9.1)');
    expect(table.stdout).toContain('sallyport workload enroll old/billing');
    expect(table.stderr).toContain('NOT ready; mTLS 93%, 7 plaintext');
    expect(JSON.parse((await run(['strict', 'plan', 'shop', '-o', 'json'])).stdout)).toEqual(plan);
  });

  it('is refused with each blocker named once, though the API names them too and counted on meanwhile', async () => {
    api.answers.set('POST /namespaces/shop/strict', [412, failure('precondition', 'namespace shop cannot step to strict: old/billing called in plaintext', 'clear the blockers')]);
    api.answers.set('GET /namespaces/shop/strict', [200, plan]);
    const result = await run(['strict', 'apply', 'shop']);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('namespace shop cannot step to strict:\n  plaintext-caller: old/billing called in plaintext\n    sallyport workload enroll old/billing\nRemedy: clear the blockers');
    expect(result.stderr.match(/called in plaintext/g)).toHaveLength(1);
  });

  it('keeps the words of a refusal that is not about blockers', async () => {
    api.answers.set('POST /namespaces/shop/strict', [409, failure('conflict', 'another start is under way')]);
    api.answers.set('GET /namespaces/shop/strict', [200, plan]);
    expect((await run(['strict', 'apply', 'shop'])).stderr).toContain('another start is under way\n  plaintext-caller: ');
  });

  it('says how many blockers it left out', async () => {
    const many = Array.from({ length: 23 }, (_, port) => ({ ...blocker, port }));
    api.answers.set('POST /namespaces/shop/strict', [412, failure('precondition', 'namespace shop cannot step to strict: much')]);
    api.answers.set('GET /namespaces/shop/strict', [200, { ...plan, blockers: many }]);
    expect((await run(['strict', 'apply', 'shop'])).stderr).toContain('and 3 more; see: sallyport strict plan shop');
  });

  it('follows the step to its end and fails when it was rolled back', async () => {
    const at = (state: string, log: string[]) => ({ ...plan, blockers: [], step: step(state, log) });
    api.answers.set('POST /namespaces/shop/strict', [200, at('watching-canary', ['canary cart'])]);
    api.answers.set('GET /namespaces/shop/strict', [[200, at('watching-namespace', ['canary cart', 'whole namespace'])], [200, at('succeeded', ['canary cart', 'whole namespace', 'done'])]]);
    const good = await run(['strict', 'apply', 'shop', '--wait']);
    expect(good.code).toBe(0);
    expect(good.stderr.match(/canary cart|whole namespace|done/g)).toEqual(['canary cart', 'whole namespace', 'done']);
    api.answers.set('GET /namespaces/shop/strict', [200, at('rolled-back', ['canary cart', 'refused 192.0.2.1'])]);
    const bad = await run(['strict', 'apply', 'shop', '--wait', '-o', 'json']);
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.stdout)).toMatchObject({ step: { state: 'rolled-back' } });
  });

  it('rolls back with a reason', async () => {
    api.answers.set('POST /namespaces/shop/strict/rollback', [200, { ...plan, step: step('rolled-back', []) }]);
    expect(await run(['strict', 'rollback', 'shop', '--reason', 'found one'])).toMatchObject({ code: 0 });
    expect(api.received[0]?.body).toEqual({ reason: 'found one' });
  });
});
