import type { ApiError } from '@sallyport/shared/api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOperator, type TestOperator } from '../testing/operator.ts';

const API = 'sallyport.dev/v1alpha1';
const doc = (kind: string, name: string, namespace: string | null, spec: object) => JSON.stringify({ apiVersion: API, kind, metadata: { name, ...(namespace ? { namespace } : {}) }, spec });
const MESH = (compatibility: string) => doc('Mesh', 'default', null, { trustDomain: 'shop.test', compatibility });
const SERVICE = doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80 }] });
const ATTACHED = doc('AuthorizationPolicy', 'attached', 'shop', { targetRefs: [{ kind: 'Service', name: 'api' }], rules: [{}] });
const LOWER = doc('AuthorizationPolicy', 'lower', 'shop', { rules: [{ to: [{ operation: { methods: ['get'] } }] }] });

let operator: TestOperator;
beforeAll(async () => {
  operator = await startOperator();
});
afterAll(() => operator.close());

const apply = (...documents: string[]) => operator.call('POST', '/apply', { manifest: documents.join('\n---\n') });
const errorOf = (answer: { body: unknown }) => (answer.body as ApiError).error;
const stored = async (name: string) => (await operator.call('GET', `/resources/AuthorizationPolicy/shop/${name}`)).status;

it('refuses a policy whose Service is not there, takes both together, and keeps the Service while it is named', async () => {
  const alone = await apply(MESH('sallyport'), ATTACHED);
  expect(alone.status).toBe(400);
  expect(errorOf(alone).message).toContain('AuthorizationPolicy shop/attached: spec.targetRefs[0].name: there is no Service shop/api');
  expect(await stored('attached')).toBe(404);
  expect((await apply(MESH('sallyport'), SERVICE, ATTACHED)).status).toBe(200);
  const gone = await operator.call('DELETE', '/resources/Service/shop/api');
  expect(gone.status).toBe(409);
  expect(errorOf(gone).message).toContain('AuthorizationPolicy shop/attached is attached to Service shop/api');
  expect((await operator.call('DELETE', '/resources/AuthorizationPolicy/shop/attached')).status).toBe(204);
});

it('takes with compatibility: istio what it refuses without, and does not let the switch be turned back over it', async () => {
  expect((await apply(MESH('sallyport'))).status).toBe(200);
  expect((await apply(LOWER)).status).toBe(400);
  expect((await apply(MESH('istio'), LOWER)).status).toBe(200);
  const back = await apply(MESH('sallyport'));
  expect(back.status).toBe(400);
  expect(errorOf(back).message).toContain('AuthorizationPolicy shop/lower: spec.rules[0].to[0].operation.methods[0]: must be in upper case');
});

it('refuses in the preview as in the write', async () => {
  expect((await operator.call('DELETE', '/resources/AuthorizationPolicy/shop/lower')).status).toBe(204);
  expect((await apply(MESH('sallyport'))).status).toBe(200);
  const answer = await operator.call('POST', '/policies/preview', { manifest: doc('PeerAuthentication', 'p', 'shop', { portLevelMtls: { '80': { mode: 'STRICT' } } }), window: '15m' });
  expect(answer.status).toBe(400);
  expect(errorOf(answer).message).toContain('PeerAuthentication shop/p: spec.portLevelMtls: has no effect without a selector');
});
