import { POD_ANNOTATION } from '@sallyport/shared/push';
import { describe, expect, it } from 'vitest';
import { inject, optedOut } from './inject.ts';
import { patched, podOf, settings } from './injection.fixture.ts';
import { diff } from './json-patch.ts';
import type { Pod } from './pod.ts';

const names = (containers: readonly { readonly name: string }[] | undefined) => containers?.map(({ name }) => name) ?? [];
const proxyOf = ({ spec }: Pod) => [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === 'sallyport-proxy');
const envOf = (pod: Pod) => Object.fromEntries((proxyOf(pod)?.env ?? []).map(({ name, value }) => [name, value]));

describe('a pod', () => {
  it('gets the rules and then the proxy as a native sidecar before everything else of it', () => {
    const { pod, warnings } = inject(podOf({}, { initContainers: [{ name: 'migrate', image: 'shop/migrate' }] }), settings);
    expect(names(pod.spec.initContainers)).toEqual(['sallyport-redirect', 'sallyport-proxy', 'migrate']);
    expect(proxyOf(pod)?.restartPolicy).toBe('Always');
    expect(names(pod.spec.containers)).toEqual(['web']);
    expect(warnings).toEqual([]);
    expect(pod.metadata.annotations).toMatchObject({ 'sallyport.dev/injected': '0.1.0' });
  });

  it('gets an ordinary proxy, and is told what that lacks, where there are no native sidecars', () => {
    const given = podOf({}, { initContainers: [{ name: 'migrate', image: 'shop/migrate' }], restartPolicy: 'Never' });
    const { pod, warnings } = inject(given, { ...settings, native: false });
    expect(names(pod.spec.initContainers)).toEqual(['migrate', 'sallyport-redirect']);
    expect(names(pod.spec.containers)).toEqual(['sallyport-proxy', 'web']);
    expect(proxyOf(pod)).not.toHaveProperty('restartPolicy');
    expect(warnings).toEqual([expect.stringContaining('no native sidecars'), expect.stringContaining('init containers'), expect.stringContaining('never completes')]);
    expect(pod.metadata.annotations?.[POD_ANNOTATION.warnings]).toBe(warnings.join('\n'));
  });

  it('gets no rules where the node makes them', () => {
    expect(names(inject(podOf(), { ...settings, redirect: 'node' }).pod.spec.initContainers)).toEqual(['sallyport-proxy']);
    expect(inject(podOf(), { ...settings, redirect: 'node', native: false }).pod.spec.initContainers).toBeUndefined();
  });

  it('tells the proxy who it is, where the operator is, and how to prove it', () => {
    const { pod } = inject(podOf(), settings);
    expect(envOf(pod)).toMatchObject({
      SALLYPORT_PROXY: '$(SALLYPORT_POD_NAME).$(SALLYPORT_POD_NAMESPACE)', SALLYPORT_ROLE: 'sidecar', SALLYPORT_TRUST_DOMAIN: 'shop.test', SALLYPORT_JOIN_URL: settings.joinUrl, SALLYPORT_STREAM_URL: settings.streamUrl,
      SALLYPORT_TOKEN_FILE: '/var/run/secrets/sallyport.dev/token', SALLYPORT_BOOTSTRAP_BUNDLE_FILE: '/var/run/secrets/sallyport.dev/roots.pem',
    });
    expect(JSON.stringify(pod.spec.volumes)).toContain('"serviceAccountToken":{"audience":"sallyport.dev","expirationSeconds":3600,"path":"token"}');
    expect(pod.metadata.annotations?.[POD_ANNOTATION.roots]).toBe('-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n');
  });

  it('keeps what this version does not know', () => {
    const { pod } = inject(podOf({ resizePolicy: [{ resourceName: 'cpu' }], novelty: 1 }, { schedulingGates: [{ name: 'x' }] }), settings);
    expect(pod.spec.containers[0]).toMatchObject({ resizePolicy: [{ resourceName: 'cpu' }], novelty: 1 });
    expect(pod.spec['schedulingGates']).toEqual([{ name: 'x' }]);
  });

  it.each([[{ 'sallyport.dev/inject': 'false' }, true], [{ 'sallyport.dev/inject': 'true' }, false], [undefined, false]])('with labels %o is left out: %s', (labels, out) => {
    expect(optedOut(podOf({}, {}, { labels }))).toBe(out);
  });
});

describe('ports that are excluded', () => {
  const redirectOf = (annotations: Record<string, string>) => inject(podOf({}, {}, { annotations }), settings).pod.spec.initContainers?.[0]?.['args'];

  it('are the probe port and DNS, and what people say', () => {
    expect(redirectOf({})).toEqual(['apply', '--proxy-uid', '1337', '--exclude-inbound', '15021', '--exclude-outbound', '53']);
    expect(redirectOf({ 'sallyport.dev/exclude-inbound-ports': '9000-9010,22', 'sallyport.dev/exclude-outbound-ports': '5432' })).toEqual(
      ['apply', '--proxy-uid', '1337', '--exclude-inbound', '15021,22,9000-9010', '--exclude-outbound', '53,5432'],
    );
  });

  it.each([
    [{ 'sallyport.dev/exclude-inbound-ports': 'ssh' }, /exclude-inbound-ports: "ssh" is neither a port/],
    [{ 'sallyport.dev/exclude-inbound-ports': '1-65535' }, /port 15000 is the proxy's own/],
    [{ 'sallyport.dev/exclude-outbound-ports': '15008' }, /port 15008/],
    [{ 'sallyport.dev/exclude-inbound-ports': [...Array(65).keys()].map((i) => 2 * i + 1).join(',') }, /at most 64/],
    [{ 'sallyport.dev/exclude-inbound-port': '22' }, /annotation sallyport.dev\/exclude-inbound-port is not known/],
  ])('refuses %o', (annotations, message) => {
    expect(() => redirectOf(annotations)).toThrow(message);
  });
});

describe('a pod that cannot have a proxy', () => {
  it.each([
    [podOf({}, { hostNetwork: true }), /hostNetwork.*sallyport.dev\/inject: "false"/],
    [podOf({}, { os: { name: 'windows' } }), /is for windows/],
    [podOf({}, { securityContext: { runAsUser: 1337 } }), /the pod runs as user 1337/],
    [podOf({ securityContext: { runAsUser: 1337 } }), /container web runs as user 1337/],
    [podOf({ name: 'sallyport-proxy' }), /container sallyport-proxy has a name of the injector's/],
    [podOf({}, { initContainers: [{ name: 'sallyport-redirect' }] }), /container sallyport-redirect has a name/],
    [podOf({}, { volumes: [{ name: 'sallyport-state', emptyDir: {} }] }), /volume sallyport-state/],
    [podOf({ ports: [{ containerPort: 15_006 }] }), /has port 15006, which is the proxy's/],
    [podOf({ name: 'sallyport-proxy', env: [{ name: 'SALLYPORT_PROBES', value: '{"/etc":1}' }] }, {}, { annotations: { 'sallyport.dev/injected': '1' } }), /SALLYPORT_PROBES is not as the injector writes it/],
  ])('is refused with the reason and the remedy (%#)', (pod, message) => {
    expect(() => inject(pod, settings)).toThrow(message);
  });

  it('may have UDP ports of the same number, and warns of what others can see', () => {
    const { warnings } = inject(podOf({ ports: [{ containerPort: 15_006, protocol: 'UDP' }] }, { shareProcessNamespace: true }), settings);
    expect(warnings).toEqual([expect.stringContaining('shareProcessNamespace')]);
  });
});

describe('injecting again', () => {
  const probe = { readinessProbe: { httpGet: { path: '/up$(X)', port: 'http' }, periodSeconds: 7 }, ports: [{ name: 'http', containerPort: 8080 }] };

  it.each([true, false])('changes nothing (native %s)', (native) => {
    const once = inject(podOf(probe, { initContainers: [{ name: 'a' }], volumes: [{ name: 'v' }] }), { ...settings, native }).pod;
    expect(diff(once, inject(once, { ...settings, native }).pod)).toEqual([]);
  });

  it('brings back what others changed of ours, and takes in what they added', () => {
    const once = inject(podOf(probe), settings).pod;
    const tampered = structuredClone(once);
    const proxy = proxyOf(tampered);
    if (proxy) Object.assign(proxy, { lifecycle: { postStart: { exec: { command: ['sh'] } } }, securityContext: { runAsUser: 0 } });
    delete proxy?.restartPolicy;
    tampered.spec.initContainers?.unshift({ name: 'vault' });
    tampered.spec.containers.push({ name: 'agent', livenessProbe: { tcpSocket: { port: 9000 } } });
    const again = inject(tampered, settings).pod;
    expect(names(again.spec.initContainers)).toEqual(['sallyport-redirect', 'sallyport-proxy', 'vault']);
    expect(again.spec.containers[1]?.livenessProbe?.httpGet).toMatchObject({ port: 15_021, path: '/app/agent/livenessProbe' });
    expect({ ...proxyOf(again), env: null }).toEqual({ ...proxyOf(once), env: null });
    expect(JSON.parse(envOf(again)['SALLYPORT_PROBES'] ?? '')).toMatchObject({ '/app/agent/livenessProbe': { kind: 'tcp', port: 9000 }, '/app/web/readinessProbe': { kind: 'http', port: 8080, path: '/up$$(X)' } });
  });

  it('lets a LimitRange add what we do not ask for', () => {
    const once = inject(podOf(), settings).pod;
    Object.assign(proxyOf(once) ?? {}, { resources: { limits: { ...settings.resources.limits, 'ephemeral-storage': '1Gi' }, requests: settings.resources.requests } });
    expect(diff(once, inject(once, settings).pod)).toEqual([]);
  });

  it('replaces what an older version added', () => {
    const old = inject(podOf(probe), { ...settings, version: '0.0.9', image: 'sallyport/proxy:0.0.9', native: false }).pod;
    const fresh = inject(podOf({ ...probe, readinessProbe: { httpGet: { path: '/up$(X)', port: 8080, scheme: 'HTTP' }, periodSeconds: 7 } }), settings).pod;
    expect(inject(old, settings).pod).toEqual(fresh);
  });
});

describe('the patch', () => {
  it('makes the pod that is wanted of the pod that was given', () => {
    const given = podOf({}, {}, { annotations: { 'a/b~c': '1' } });
    const { pod } = inject(given, settings);
    expect(patched(given, diff(given, pod))).toEqual(pod);
  });

  it.each([
    [{ a: 1 }, { a: 1, 'b/~': [1] }],
    [{ a: { b: 1, c: 2 } }, { a: { c: 3 } }],
    [{ a: [1, 2] }, { a: [2] }],
    [{ a: 1 }, { a: undefined }],
  ])('from %o to %o', (from, to) => {
    expect(patched(from, diff(from, to))).toEqual(JSON.parse(JSON.stringify(to)));
  });
});
