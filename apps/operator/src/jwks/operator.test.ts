import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { PreviewView, SignalView } from '@sallyport/shared/api';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOperator, type TestOperator } from '../testing/operator.ts';
import { WireProxy } from '../testing/proxy.ts';

const doc = (kind: string, name: string, namespace: string | null, spec: object, labels: object = {}) =>
  JSON.stringify({ apiVersion: 'sallyport.dev/v1alpha1', kind, metadata: { name, ...(namespace ? { namespace } : {}), labels }, spec });
const workload = (name: string, address: string) =>
  doc('Workload', name, 'shop', { serviceAccount: name, address, proxy: 'node-1', inbound: [{ port: 80, protocol: 'http', app: `unix:/run/${name}.sock` }] }, { app: name });

let operator: TestOperator;
let proxy: WireProxy;
let issuer: http.Server;
let port: number;
let answer: { status: number; keys: unknown[] };
const newKey = async (kid: string) => ({ ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid });
const mesh = (allowedHosts: string[]) => doc('Mesh', 'default', null, { trustDomain: 'shop.test', jwks: { allowedHosts, refresh: '1s' } });
const apply = async (...manifests: string[]) => {
  const { status, body } = await operator.call('POST', '/apply', { manifest: manifests.join('\n---\n') });
  if (status !== 200) throw new Error(JSON.stringify(body));
};
const jwt = (spec: object = {}) => doc('RequestAuthentication', 'jwt', 'shop', { targetRefs: [{ kind: 'Service', name: 'api' }], jwtRules: [{ issuer: 'i', jwksUri: `http://127.0.0.1:${port}/keys`, timeout: '2s' }], ...spec });

beforeAll(async () => {
  answer = { status: 200, keys: [await newKey('one')] };
  issuer = http.createServer((_req, res) => void res.writeHead(answer.status).end(JSON.stringify({ keys: answer.keys })));
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  port = (issuer.address() as AddressInfo).port;
  operator = await startOperator();
  proxy = new WireProxy('node-1', operator);
  await apply(mesh([]), workload('api', '127.0.0.11'), workload('web', '127.0.0.12'), doc('Service', 'api', 'shop', { selector: { app: 'api' }, ports: [{ port: 80 }] }));
  await proxy.enrol();
  proxy.subscribe({ ack: true });
});
afterAll(async () => {
  proxy.close();
  await operator.close();
  issuer.close();
  issuer.closeAllConnections();
});

type Conditions = Record<string, { status: string; reason: string; message: string }>;
async function condition(kind: string, name: string, type: string, good: (condition: Conditions[string]) => boolean): Promise<Conditions[string]> {
  for (let attempt = 0; attempt < 150; attempt += 1) {
    const { body } = await operator.call('GET', `/resources/${kind}/shop/${name}`);
    const list = (body as { status?: { conditions: ({ type: string } & Conditions[string])[] } }).status?.conditions ?? [];
    const found = list.find((item) => item.type === type);
    if (found && good(found)) return found;
    await delay(100);
  }
  throw new Error(`${type} of ${name} did not come`);
}
const keysPushed = (kid: string) => proxy.delta((delta) => delta.upserts.some(({ entry }) => entry.type === 'jwks' && entry.value.keys.some((key) => key.kid === kid)));

describe('a RequestAuthentication', () => {
  it('is pushed to the proxy of the workloads behind its Service; its keys are refused from a loopback address', async () => {
    await apply(jwt());
    await proxy.delta((delta) => delta.upserts.some(({ name }) => name === 'authn/shop/jwt'));
    expect(await condition('RequestAuthentication', 'jwt', 'Programmed', ({ status }) => status === 'True')).toBeDefined();
    const { message } = await condition('RequestAuthentication', 'jwt', 'ResolvedRefs', ({ reason }) => reason === 'JwksUnavailable');
    expect(message).toMatch(/there are no keys, so its tokens are refused: .*loopback address 127\.0\.0\.1.*allowedHosts/);
  });

  it('gets its keys at once when the host is allowed by name', async () => {
    await apply(mesh([`127.0.0.1:${port}`]));
    await keysPushed('one');
    const { message } = await condition('RequestAuthentication', 'jwt', 'ResolvedRefs', ({ status }) => status === 'True');
    expect(message).toMatch(/oldest keys were fetched at \d{4}-/);
  });

  it('follows a rotation', async () => {
    answer = { status: 200, keys: [await newKey('two')] };
    expect((await keysPushed('two')).removed).toEqual([]);
  });

  it('keeps its keys, and says how old they are, when they cannot be fetched, also after a kill', async () => {
    answer = { status: 503, keys: [] };
    const stale = await condition('RequestAuthentication', 'jwt', 'ResolvedRefs', ({ reason }) => reason === 'JwksStale');
    expect(stale.message).toMatch(/keys of \d{4}-\S+Z stay in use.*answered 503/);
    await operator.restart();
    proxy.close();
    proxy = new WireProxy('node-1', operator);
    await proxy.enrol();
    proxy.subscribe({ ack: true });
    await keysPushed('two');
    expect((await condition('RequestAuthentication', 'jwt', 'ResolvedRefs', ({ reason }) => reason === 'JwksStale')).message).toContain(stale.message.slice(0, 60));
  });

  it('is a weakening when it takes more, or is taken away', async () => {
    await apply(jwt({ jwtRules: [{ issuer: 'i', jwksUri: `http://127.0.0.1:${port}/keys` }, { issuer: 'stranger', jwksUri: `http://127.0.0.1:${port}/keys` }] }));
    const found = async () => ((await operator.call('GET', '/signals')).body as { items: SignalView[] }).items.find((signal) => signal.kind === 'weakening-change');
    let signal = await found();
    for (let attempt = 0; attempt < 100 && !signal; attempt += 1) {
      await delay(100);
      signal = await found();
    }
    expect(signal?.detail).toContain('tokens of issuer stranger are accepted now');
  });
});

describe('an AuthorizationPolicy with targetRefs', () => {
  it('goes to the proxy of the Service’s workloads, and says when the Service is missing', async () => {
    const policy = (name: string, service: string, spec: object = {}) => doc('AuthorizationPolicy', name, 'shop', { targetRefs: [{ kind: 'Service', name: service }], rules: [{}], ...spec });
    await apply(policy('behind-api', 'api'));
    expect(await condition('AuthorizationPolicy', 'behind-api', 'Programmed', ({ status }) => status === 'True')).toBeDefined();
    expect((await condition('AuthorizationPolicy', 'behind-api', 'ResolvedRefs', () => true)).status).toBe('True');
    const refused = await operator.call('POST', '/apply', { manifest: policy('behind-nothing', 'nothing') });
    expect([refused.status, JSON.stringify(refused.body)]).toEqual([400, expect.stringContaining('there is no Service shop/nothing')]);
    expect((await operator.call('DELETE', '/resources/Service/shop/api')).status).toBe(409);
  });
});

describe('a preview', () => {
  const preview = async (manifest: string) => (await operator.call('POST', '/policies/preview', { manifest, window: '5m' })).body as PreviewView;

  it('says what flows cannot tell about tokens and authorizers', async () => {
    expect((await preview(jwt())).warnings.map(({ code }) => code)).toEqual(['not-recorded']);
    const mesh = doc('Mesh', 'default', null, { trustDomain: 'shop.test', extensionProviders: [{ name: 'authz', envoyExtAuthzHttp: { service: 'authz', port: 80 } }] });
    const custom = doc('AuthorizationPolicy', 'ask', 'shop', { selector: { matchLabels: { app: 'web' } }, action: 'CUSTOM', provider: { name: 'authz' }, rules: [{}] });
    await proxy.report([{ destination: { namespace: 'shop', workload: 'web', service: null, port: 80 }, count: 4 }]);
    const asking = await preview(`${mesh}\n---\n${custom}`);
    expect(asking.warnings.map(({ code }) => code)).toEqual(['external-authorizer']);
    expect([asking.unchanged.allowed, asking.wouldDeny, asking.wouldAllow]).toEqual([4, [], []]);
  });
});
