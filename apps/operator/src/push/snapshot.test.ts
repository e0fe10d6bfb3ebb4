import { API_VERSION, KINDS, type Service, type Workload } from '@sallyport/shared/resources';
import { expect, it } from 'vitest';
import { snapshotFor, type World } from './snapshot.ts';

const workload = (spec: object): Workload => KINDS.Workload.schema.parse({
  apiVersion: API_VERSION, kind: 'Workload', metadata: { name: 'api', namespace: 'pay', labels: { app: 'api' } }, spec: { serviceAccount: 'api', proxy: 'api-0.pay', address: '10.0.0.1', ...spec },
});
const service = (spec: object): Service => KINDS.Service.schema.parse({
  apiVersion: API_VERSION, kind: 'Service', metadata: { name: 'api', namespace: 'pay' }, spec: { selector: { app: 'api' }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});
const mesh = KINDS.Mesh.schema.parse({ apiVersion: API_VERSION, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: 'shop.test' } });

function serviceEntry(one: Workload, another: Service) {
  const world: World = {
    mesh, trustDomain: 'shop.test', roots: [], bundleSequence: 1, jwtKeys: [], federated: new Map(), workloads: [one], services: [another],
    authorizationPolicies: [], peerAuthentications: [], requestAuthentications: [], trafficPolicies: [], keys: new Map(),
  };
  const entry = snapshotFor('web-0.shop', world).get('service/pay/api')?.entry;
  return entry?.type === 'service' ? entry.value : null;
}

it('tells callers by which addresses a service and its workloads are reached', () => {
  const entry = serviceEntry(workload({ otherAddresses: ['fd00::1'] }), service({ addresses: ['10.96.0.7', 'fd00:96::7'] }));
  expect(entry).toMatchObject({ addresses: ['10.96.0.7', 'fd00:96::7'], ports: [{ port: 80, endpoints: [{ address: '10.0.0.1', otherAddresses: ['fd00::1'], port: 8080, hbone: 15_008, spiffeId: 'spiffe://shop.test/ns/pay/sa/api' }] }] });
});

it('says nothing of addresses that there are not, as operators before did', () => {
  const entry = serviceEntry(workload({}), service({}));
  expect(entry).not.toHaveProperty('addresses');
  expect(entry?.ports[0]?.endpoints[0]).not.toHaveProperty('otherAddresses');
});
