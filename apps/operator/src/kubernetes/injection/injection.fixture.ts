import type { PatchOperation } from './json-patch.ts';
import { type Pod, podObject } from './pod.ts';
import type { InjectionSettings } from './settings.ts';

/** Settings of a cluster with native sidecars. */
export const settings: InjectionSettings = {
  version: '0.1.0', image: 'sallyport/proxy:0.1.0', redirectImage: 'sallyport/redirect:0.1.0', redirect: 'container', native: true, trustDomain: 'shop.test',
  joinUrl: 'https://sallyport-operator.sallyport-system.svc:8471', streamUrl: 'https://sallyport-operator.sallyport-system.svc:8472',
  roots: ['-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----'],
  resources: { requests: { cpu: '20m', memory: '96Mi' }, limits: { cpu: '1', memory: '256Mi' } },
};

/** A pod whose one container is changed, and whose spec is. */
export function podOf(container: object = {}, spec: object = {}, metadata: object = {}): Pod {
  return podObject.parse({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', ...metadata }, spec: { containers: [{ name: 'web', image: 'shop/web:1', ...container }], ...spec } });
}

/** RFC 6902 §4 for the operations that we write, on objects alone. */
export function patched(document: unknown, operations: readonly PatchOperation[]): unknown {
  const result = { root: structuredClone(document) };
  for (const operation of operations) {
    const keys = ['root', ...operation.path.split('/').slice(1).map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))];
    const last = keys.pop() ?? '';
    const parent = keys.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], result) as Record<string, unknown>;
    if (operation.op !== 'add' && !(last in parent)) throw new Error(`nothing at ${operation.path}`);
    if (operation.op === 'remove') delete parent[last];
    else parent[last] = operation.value;
  }
  return result.root;
}
