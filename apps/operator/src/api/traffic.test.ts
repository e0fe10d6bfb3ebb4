import type { ApiError } from '@sallyport/shared/api';
import type { Condition } from '@sallyport/shared/resources';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { WireProxy } from '../testing/proxy.ts';
import { setTimeout as delay } from 'node:timers/promises';

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
const service = (name: string) => doc('Service', name, 'shop', { selector: { app: name }, ports: [{ port: 80 }] });
const policy = (name: string, spec: object, ...targets: string[]) => doc('TrafficPolicy', name, 'shop', { targetRefs: targets.map((target) => ({ kind: 'Service', name: target })), ...spec });

let operator: TestOperator;
let proxy: WireProxy;
beforeAll(async () => {
  operator = await startOperator();
  proxy = new WireProxy('node-1', operator);
  const workload = doc('Workload', 'api-1', 'shop', { serviceAccount: 'api', address: '127.0.0.11', proxy: 'node-1', locality: { region: 'north', zone: 'n1' }, inbound: [{ port: 80, protocol: 'http', app: 'unix:/run/api.sock' }] }, { app: 'api' });
  const answer = await apply(doc('Mesh', 'default', null, { trustDomain: 'shop.test' }), workload, service('api'), service('api-v2'));
  if (answer.status !== 200) throw new Error(messageOf(answer));
  await proxy.enrol();
  proxy.subscribe({ ack: true });
});
afterAll(async () => {
  proxy.close();
  await operator.close();
});

const apply = (...documents: string[]) => operator.call('POST', '/apply', { manifest: documents.join('\n---\n') });
const messageOf = (answer: { body: unknown }) => (answer.body as ApiError).error.message;

/** Waits for a condition with this reason and, when it is given, this message: each object's status is written by itself. */
async function condition(name: string, type: string, reason: string, message?: string): Promise<Condition> {
  let seen: unknown;
  for (let attempt = 0; attempt < 150; attempt += 1) {
    const { body } = await operator.call('GET', `/resources/TrafficPolicy/shop/${name}`);
    const found = (body as { status?: { conditions?: Condition[] } }).status?.conditions?.find((each) => each.type === type);
    if (found?.reason === reason && (message === undefined || found.message === message)) return found;
    seen = found;
    await delay(100);
  }
  throw new Error(`${type} of ${name} did not become ${reason}: ${JSON.stringify(seen)}`);
}

describe('a TrafficPolicy', () => {
  it('is refused when a Service or a port that it names is not there', async () => {
    expect(messageOf(await apply(policy('t', {}, 'api', 'nowhere')))).toContain('TrafficPolicy shop/t: spec.targetRefs[1].name: there is no Service shop/nowhere');
    expect(messageOf(await apply(policy('t', { backendRefs: [{ name: 'api' }, { name: 'api-v2', port: 81 }] }, 'api')))).toContain('spec.backendRefs[1].port: Service shop/api-v2 has no port 81');
    expect(messageOf(await apply(policy('t', { requestMirror: { backendRef: { name: 'shadow' } } }, 'api')))).toContain('spec.requestMirror.backendRef.name: there is no Service shop/shadow');
    expect(messageOf(await apply(policy('t', { timeout: '3s' }, 'api')))).toContain('unknown field "timeout"');
  });

  it('is taken together with its Services, pushed with those that it rules, and programmed', async () => {
    expect((await apply(policy('first', { timeouts: { request: '3s' }, backendRefs: [{ name: 'api', weight: 9 }, { name: 'new' }] }, 'api'), service('new'))).status).toBe(200);
    const delta = await proxy.delta(({ upserts }) => upserts.some(({ name }) => name === 'traffic/shop/first'));
    expect(delta.upserts.find(({ name }) => name === 'traffic/shop/first')?.entry).toMatchObject({ type: 'traffic', value: { services: ['api'], resource: { spec: { timeouts: { request: '3s' } } } } });
    expect(await condition('first', 'Programmed', 'Programmed')).toMatchObject({ status: 'True' });
    expect(await condition('first', 'Accepted', 'Accepted')).toMatchObject({ status: 'True' });
    expect(await condition('first', 'ResolvedRefs', 'ResolvedRefs')).toMatchObject({ status: 'True' });
  });

  it('that comes second says who rules, and is not pushed where it does not', async () => {
    expect((await apply(policy('second', {}, 'api'), policy('third', {}, 'api', 'api-v2'))).status).toBe(200);
    expect(await condition('second', 'Accepted', 'Conflicted')).toMatchObject({ status: 'False', message: 'shop/api is ruled by the older policy shop/first' });
    expect(await condition('second', 'Programmed', 'NoMatchingWorkloads')).toMatchObject({ status: 'False' });
    expect(await condition('third', 'Accepted', 'PartiallyConflicted')).toMatchObject({ status: 'True' });
    expect(await condition('third', 'Programmed', 'Programmed')).toMatchObject({ status: 'True' });
  });

  it('rules when the older one is gone', async () => {
    expect((await operator.call('DELETE', '/resources/TrafficPolicy/shop/first')).status).toBe(204);
    expect(await condition('second', 'Accepted', 'Accepted')).toMatchObject({ status: 'True' });
    expect(await condition('third', 'Accepted', 'PartiallyConflicted', 'shop/api is ruled by the older policy shop/second')).toMatchObject({ status: 'True' });
  });

  it('keeps the Services that it names', async () => {
    expect((await apply(policy('fourth', { requestMirror: { backendRef: { name: 'api-v2' } } }, 'new'))).status).toBe(200);
    expect((await operator.call('DELETE', '/resources/TrafficPolicy/shop/third')).status).toBe(204);
    const gone = await operator.call('DELETE', '/resources/Service/shop/api-v2');
    expect(gone.status).toBe(409);
    expect(messageOf(gone)).toContain('TrafficPolicy shop/fourth names Service shop/api-v2');
  });
});

it('an endpoint carries the locality of its workload', async () => {
  const delta = await proxy.delta(({ upserts }) => upserts.some(({ name }) => name === 'service/shop/api'));
  const entry = delta.upserts.find(({ name }) => name === 'service/shop/api')?.entry;
  expect(entry).toMatchObject({ value: { ports: [{ endpoints: [{ locality: { region: 'north', zone: 'n1' } }] }] } });
});
