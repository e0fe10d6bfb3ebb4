import { expect, it } from 'vitest';
import { z } from 'zod';
import { injectionConfig, injectionEnvironment } from './config.ts';

const read = (env: Record<string, string>) => injectionConfig(z.object(injectionEnvironment).parse(env), 'mesh', { join: 1, stream: 2 });

it('injects nothing without an image', () => {
  expect(read({})).toBeNull();
});

it('knows the rest by itself', () => {
  expect(read({ SALLYPORT_PROXY_IMAGE: 'proxy:1' })).toEqual({
    image: 'proxy:1', redirectImage: 'proxy:1', redirect: 'container', resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '1', memory: '256Mi' } },
    joinUrl: 'https://sallyport-operator.mesh.svc:1', streamUrl: 'https://sallyport-operator.mesh.svc:2', webhookName: 'sallyport-injector', service: 'sallyport-operator', secret: 'sallyport-webhook-ca',
  });
});

it('takes what the chart says', () => {
  const env = { SALLYPORT_PROXY_IMAGE: 'proxy:1', SALLYPORT_REDIRECT_IMAGE: 'redirect:1', SALLYPORT_REDIRECT: 'node', SALLYPORT_PROXY_RESOURCES: '{"limits":{"memory":"1Gi"}}', SALLYPORT_JOIN_URL: 'https://a:1' };
  expect(read(env)).toMatchObject({ redirectImage: 'redirect:1', redirect: 'node', resources: { requests: {}, limits: { memory: '1Gi' } }, joinUrl: 'https://a:1' });
});

it.each([
  ['SALLYPORT_PROXY_RESOURCES', '{'], ['SALLYPORT_PROXY_RESOURCES', '{"limit":{}}'], ['SALLYPORT_PROXY_RESOURCES', '{"limits":{"memory":"lots"}}'],
  ['SALLYPORT_REDIRECT', 'off'], ['SALLYPORT_JOIN_URL', 'http://a'], ['SALLYPORT_WEBHOOK_SERVICE', 'a.b'], ['SALLYPORT_PROXY_IMAGE', 'a b'],
])('refuses %s=%s', (name, value) => {
  expect(() => read({ SALLYPORT_PROXY_IMAGE: 'proxy:1', [name]: value })).toThrow(name);
});
