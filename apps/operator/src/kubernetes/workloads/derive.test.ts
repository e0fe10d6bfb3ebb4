import { INJECT_LABEL, INJECTION_LABEL, POD_ANNOTATION, PROXY_CONTAINER } from '@sallyport/shared/push';
import { DERIVED_ANNOTATION, type Service, service as serviceSchema, type Workload, workload as workloadSchema } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { deriveNamespace } from './derive.ts';
import { endpointSliceObject, namespaceObject, podObject, serviceObject } from './objects.ts';

interface PodText {
  readonly name?: string;
  readonly labels?: object;
  readonly annotations?: object;
  readonly spec?: object;
  readonly status?: object;
  readonly metadata?: object;
}

const container = (name: string, ports: object[] = []) => ({ name, image: name, ports });
const proxy = { annotations: { [POD_ANNOTATION.injected]: '1' }, spec: { initContainers: [{ ...container(PROXY_CONTAINER, [{ containerPort: 15_008 }]), restartPolicy: 'Always' }] } };
const ready = [{ type: 'Ready', status: 'True' }];

function pod({ name = 'web-1', labels = { app: 'web' }, annotations, spec, status, metadata }: PodText = {}) {
  return podObject.parse({
    metadata: { name, namespace: 'shop', uid: `uid-${name}`.slice(0, 64), resourceVersion: '7', creationTimestamp: '2026-11-25T00:00:00Z', labels, annotations, ...metadata },
    spec: { serviceAccountName: 'web', nodeName: 'node-a', containers: [container('app', [{ name: 'web', containerPort: 8080 }])], ...spec },
    status: { phase: 'Running', podIP: '10.1.0.1', podIPs: [{ ip: '10.1.0.1' }], conditions: ready, ...status },
  });
}
function service(spec: object = {}, name = 'web') {
  return serviceObject.parse({ metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '8' }, spec: { selector: { app: 'web' }, clusterIPs: ['10.0.0.1'], ports: [{ port: 80, targetPort: 'web' }], ...spec } });
}
const namespace = (labels: object = { [INJECTION_LABEL]: 'enabled' }) => namespaceObject.parse({ metadata: { name: 'shop', labels } });
const at = (host: string, more: object = {}) => ({ podIP: host, podIPs: [{ ip: host }], ...more });

/** What comes out is valid by our own schemas. */
function derive(content: Partial<Parameters<typeof deriveNamespace>[0]>): { workloads: Workload[]; services: Service[] } {
  const { workloads, services } = deriveNamespace({ namespace: namespace(), pods: [], services: [], slices: [], ...content });
  return { workloads: workloads.map((one) => workloadSchema.parse(one)), services: services.map((one) => serviceSchema.parse(one)) };
}
const endpoints = (content: Parameters<typeof derive>[0]) => derive(content).services[0]?.spec.endpoints?.map(({ workload, address, ports }) => `${workload}${address === undefined ? '' : `@${address}`}:${ports.map(({ port, targetPort }) => `${port}>${targetPort}`).join(',')}`);
const outside = (text: PodText, labels?: object) => derive({ pods: [pod(text)], namespace: namespace(labels) }).workloads[0]?.metadata.annotations?.[DERIVED_ANNOTATION.outside];

describe('a pod', () => {
  it('with a proxy of ours is a workload of the mesh under its service account', () => {
    const metadata = { ownerReferences: [{ kind: 'ReplicaSet', name: 'web-5d9c', controller: true }], labels: { app: 'web', 'pod-template-hash': '5d9c' } };
    const { workloads } = derive({ pods: [pod({ ...proxy, metadata, spec: { ...proxy.spec, serviceAccountName: 'web.v2' } })], services: [service()] });
    expect(workloads).toEqual([{
      apiVersion: 'sallyport.dev/v1alpha1', kind: 'Workload',
      metadata: { name: 'web-1', namespace: 'shop', uid: 'uid-web-1', resourceVersion: '7', generation: 1, creationTimestamp: '2026-11-25T00:00:00Z', labels: metadata.labels, annotations: { [DERIVED_ANNOTATION.from]: 'Pod/web-1', [DERIVED_ANNOTATION.owner]: 'Deployment/web', [DERIVED_ANNOTATION.node]: 'node-a' } },
      spec: { serviceAccount: 'web.v2', address: '10.1.0.1', proxy: 'web-1.shop', inbound: [{ port: 8080, protocol: 'auto' }], outbound: [], interception: { inbound: 15_006, outbound: 15_001 } },
    }]);
  });

  it.each([
    ['made before its namespace took part', {}, undefined, /made before its namespace took part in injection; make the pod anew/],
    ['in a namespace that takes no part', {}, {}, /no label sallyport\.dev\/injection=enabled; set it/],
    ['kept out by its label', { labels: { [INJECT_LABEL]: 'false' } }, undefined, /its label sallyport\.dev\/inject keeps it out/],
    ['in the network of its node, whatever it carries', { ...proxy, spec: { ...proxy.spec, hostNetwork: true } }, undefined, /network of its node/],
  ] as const)('%s is known by its address alone, and says why', (_name, text, labels, why) => {
    expect(outside(text, labels)).toMatch(why);
    const [workload] = derive({ pods: [pod(text)] }).workloads;
    expect([workload?.spec.proxy, workload?.spec.interception]).toEqual([undefined, undefined]);
  });

  it('that only says that it was injected has no proxy', () => {
    expect(derive({ pods: [pod({ annotations: proxy.annotations })] }).workloads[0]?.spec.proxy).toBeUndefined();
  });

  it('is a workload before it is ready, and none without an address or after its end', () => {
    const pods = [pod({ name: 'starts', status: { conditions: [] } }), pod({ name: 'new', status: { phase: 'Pending', podIP: undefined, podIPs: [] } }), pod({ name: 'done', status: { phase: 'Succeeded' } }), pod({ name: 'broke', status: { phase: 'Failed' } })];
    expect(derive({ pods }).workloads.map(({ metadata }) => metadata.name)).toEqual(['starts']);
  });

  it('has a workload of another name when its own is no label, and no two have the same', () => {
    const names = ['etcd-ip-10-0-0-1.ec2.internal', 'etcd-ip-10-0-0-1-ec2.internal', 'a'.repeat(253)];
    const { workloads } = derive({ pods: names.map((name) => pod({ ...proxy, name })) });
    expect(new Set(workloads.map(({ metadata }) => metadata.name)).size).toBe(3);
    expect(workloads.map(({ spec }) => spec.proxy)).toEqual(names.map((name) => `${name}.shop`));
  });

  it('serves what services and its containers say, but for the ports of its proxy', () => {
    const spec = { ...proxy.spec, containers: [container('app', [{ name: 'grpc-admin', containerPort: 9000 }, { containerPort: 53, protocol: 'UDP' }, { name: 'web', containerPort: 8080 }])] };
    const services = [service({ ports: [{ port: 80, targetPort: 'web' }, { port: 81, targetPort: 9999, appProtocol: 'kubernetes.io/h2c' }] }), service({ ports: [{ name: 'http-x', port: 8, targetPort: 8080 }] }, 'other')];
    expect(derive({ pods: [pod({ ...proxy, spec })], services }).workloads[0]?.spec.inbound).toEqual([{ port: 8080, protocol: 'http' }, { port: 9000, protocol: 'grpc' }, { port: 9999, protocol: 'http2' }]);
  });
});

describe('a service', () => {
  it.each([
    [{ appProtocol: 'https', name: 'http' }, 'tls'], [{ appProtocol: 'unheard-of', name: 'grpc-web-x' }, 'http'], [{ name: 'mysql-main' }, 'tcp'], [{ name: 'https' }, 'tls'], [{ name: 'web' }, 'auto'], [{}, 'auto'], [{ appProtocol: 'GRPC' }, 'grpc'],
  ])('of a port %j speaks %s', (port, protocol) => {
    expect(derive({ services: [service({ ports: [{ port: 80, ...port }] })] }).services[0]?.spec.ports[0]?.protocol).toBe(protocol);
  });

  it('leads to each ready pod at the port that has the name there, and to none that has no such port', () => {
    const other = { containers: [container('app', [{ name: 'web', containerPort: 9090 }])] };
    const pods = [pod(), pod({ name: 'web-2', spec: other, status: at('10.1.0.2') }), pod({ name: 'web-3', spec: { containers: [container('app')] }, status: at('10.1.0.3') }), pod({ name: 'web-4', status: at('10.1.0.4', { conditions: [] }) })];
    expect(endpoints({ pods, services: [service()] })).toEqual(['web-1:80>8080', 'web-2:80>9090']);
    expect(derive({ pods, services: [service()] }).services[0]?.spec).toMatchObject({ addresses: ['10.0.0.1'], selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] });
  });

  it('leads to pods that end only when no other is left, and to those that are not ready when it publishes them', () => {
    const ends = pod({ name: 'ends', metadata: { deletionTimestamp: '2026-11-25T00:00:00Z' } });
    const starts = pod({ name: 'starts', status: at('10.1.0.2', { conditions: [] }) });
    expect(endpoints({ pods: [ends, starts], services: [service()] })).toEqual(['ends:80>8080']);
    expect(endpoints({ pods: [ends, pod()], services: [service()] })).toEqual(['web-1:80>8080']);
    expect(endpoints({ pods: [starts], services: [service({ publishNotReadyAddresses: true })] })).toEqual(['starts:80>8080']);
  });

  it('without an address of its own leads to its pods by either family', () => {
    const both = pod({ status: { podIPs: [{ ip: '10.1.0.1' }, { ip: 'fd00::1' }] } });
    expect(derive({ pods: [both] }).workloads[0]?.spec).toMatchObject({ address: '10.1.0.1', otherAddresses: ['fd00::1'] });
    expect(endpoints({ pods: [both], services: [service({ clusterIPs: ['None'] })] })).toEqual(['web-1:80>8080', 'web-1@fd00::1:80>8080']);
    expect(endpoints({ pods: [both], services: [service({ clusterIPs: ['10.0.0.1', 'fd00:1::1'] })] })).toEqual(['web-1:80>8080']);
    expect(derive({ services: [service({ clusterIPs: ['None'] })] }).services[0]?.spec.addresses).toEqual([]);
  });

  it('without a selector leads where its slices say, and is left alone when some of that is no pod', () => {
    const slice = (addresses: string[], more: object = {}) => endpointSliceObject.parse({ metadata: { name: 's', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } }, endpoints: [{ addresses, ...more }], ports: [{ name: 'p', port: 8080, protocol: 'TCP' }] });
    const manual = service({ selector: undefined, ports: [{ name: 'p', port: 80 }] });
    expect(endpoints({ pods: [pod()], services: [manual], slices: [slice(['10.1.0.1'])] })).toEqual(['web-1:80>8080']);
    expect(endpoints({ pods: [pod()], services: [manual], slices: [slice(['10.1.0.1'])].concat(slice(['10.1.0.9'], { conditions: { ready: false } })) })).toEqual(['web-1:80>8080']);
    expect(derive({ pods: [pod()], services: [manual], slices: [slice(['10.1.0.1']), slice(['192.0.2.1'])] }).services).toEqual([]);
    expect(derive({ pods: [pod()], services: [manual] }).services).toEqual([]);
  });

  it('of another kind, or without a TCP port, is none of ours', () => {
    expect(derive({ services: [service({ type: 'ExternalName', externalName: 'example.org' }), service({ ports: [{ port: 53, protocol: 'UDP' }] }, 'dns')] }).services).toEqual([]);
  });
});
