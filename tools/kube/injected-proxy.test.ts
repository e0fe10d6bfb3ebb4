import { expect, it } from 'vitest';
import { readConfiguration } from '../../apps/dataplane/src/config.ts';
import { inject } from '../../apps/operator/src/kubernetes/injection/inject.ts';
import { podOf, settings } from '../../apps/operator/src/kubernetes/injection/injection.fixture.ts';
import type { Pod } from '../../apps/operator/src/kubernetes/injection/pod.ts';

/** What the kubelet tells a container: core/v1 EnvVar "$(VAR_NAME) are expanded", "$$ are reduced to a single $". */
function environment({ spec }: Pod, pod: Readonly<Record<string, string>>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const { name, value, ...rest } of spec.initContainers?.find((one) => one.name === 'sallyport-proxy')?.env ?? []) {
    const field = (rest['valueFrom'] as { fieldRef: { fieldPath: string } } | undefined)?.fieldRef.fieldPath;
    result[name] = field === undefined ? (value ?? '').replaceAll(/\$\$|\$\(([^)]+)\)/g, (all, key?: string) => (key === undefined ? '$' : (result[key] ?? all))) : (pod[field] ?? '');
  }
  return result;
}

it('a proxy takes what the injector tells it', () => {
  const web = podOf({ livenessProbe: { httpGet: { path: '/up?a=$(b)&c=$d', port: 8080, httpHeaders: [{ name: 'X-A', value: '"$"' }] } }, readinessProbe: { grpc: { port: 9090 } } });
  const env = environment(inject(web, settings).pod, { 'metadata.name': 'web-5d9c-x2', 'metadata.namespace': 'shop', 'status.podIP': '10.1.2.3' });
  expect(readConfiguration(env)).toMatchObject({
    proxy: 'web-5d9c-x2.shop', role: 'sidecar', trustDomain: 'shop.test', tokenFile: '/var/run/secrets/sallyport.dev/token', bootstrapBundleFile: '/var/run/secrets/sallyport.dev/roots.pem', adminPort: 15_000,
    probes: {
      port: 15_021, host: '10.1.2.3',
      declared: {
        '/app/web/livenessProbe': { kind: 'http', port: 8080, path: '/up?a=$(b)&c=$d', scheme: 'HTTP', headers: [{ name: 'X-A', value: '"$"' }], timeout: 1 },
        '/app/web/readinessProbe': { kind: 'grpc', port: 9090, service: '', timeout: 1 },
      },
    },
  });
});
