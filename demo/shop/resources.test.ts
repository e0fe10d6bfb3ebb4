import { compileWorkloadPolicy, decideTarget } from '@sallyport/shared/policy';
import { type AuthorizationPolicy, durationMs, parseResource, type Resource, type Workload } from '@sallyport/shared/resources';
import { expect, test } from 'vitest';
import { LONGEST_SOCKET_NAME } from './place.ts';
import { federatedTrustDomain, federationResources, shopResources } from './resources.ts';
import { callsOf, loadFederation, loadTopology } from './topology.ts';

const topology = loadTopology();
const place = { run: '/tmp/run', network: '127.77' };
const resources = shopResources(topology, place);

function ofKind<K extends Resource['kind']>(kind: K): Extract<Resource, { kind: K }>[] {
  return resources.filter((item): item is Extract<Resource, { kind: K }> => item.kind === kind);
}
const workload = (name: string): Workload => {
  const found = ofKind('Workload').find((item) => item.metadata.name === name);
  if (!found) throw new Error(`no workload ${name}`);
  return found;
};

test('every resource passes its own schema unchanged', () => {
  for (const resource of resources) expect(parseResource(resource)).toEqual(resource);
});

test('the shop has at least 12 services in at least 5 namespaces, one of them TCP', () => {
  const services = ofKind('Service');
  expect(services.length).toBeGreaterThanOrEqual(12);
  expect(new Set(services.map((item) => item.metadata.namespace)).size).toBeGreaterThanOrEqual(5);
  expect(services.flatMap((item) => item.spec.ports).filter((port) => port.protocol === 'tcp')).toHaveLength(1);
});

test('addresses, listening sockets and identities are unique, and socket names fit', () => {
  const all = ofKind('Workload');
  const sockets = all.flatMap((item) => [...item.spec.inbound.map((port) => port.app ?? ''), ...item.spec.outbound.map((out) => out.listen)]);
  const addresses = all.map((item) => item.spec.address);
  expect(new Set(sockets).size).toBe(sockets.length);
  expect(new Set(addresses).size).toBe(all.length);
  expect(new Set(all.map((item) => `${item.metadata.namespace}/${item.spec.serviceAccount}`)).size).toBe(all.length);
  for (const socket of sockets) expect(socket.length - 'unix:/tmp/run/'.length).toBeLessThanOrEqual(LONGEST_SOCKET_NAME);
});

test('the declared load makes at least 50 calls a second, each hop counted', () => {
  const perSecond = topology.workloads.flatMap((item) => item.load.map((load) => load.perSecond * hops(load.call)));
  expect(perSecond.reduce((sum, rate) => sum + rate, 0)).toBeGreaterThanOrEqual(50);
});

function hops(call: ReturnType<typeof callsOf>[number]): number {
  const target = topology.workloads.find((item) => item.name === call.to.name);
  const route = target?.routes.find((item) => item.method === call.method && item.path === call.path);
  if (call.method !== null && !route) throw new Error(`${call.to.name} has no route ${call.method} ${call.path}`);
  // TCP connections are reused, so that one call is less than one connection.
  if (call.method === null) return 0;
  return call.share * (1 + (route?.calls ?? []).reduce((sum, next) => sum + hops(next), 0));
}

test('the legacy client is known and outside the mesh, with its way in prepared', () => {
  const legacy = workload('legacy-billing');
  expect(legacy.spec.proxy).toBeUndefined();
  expect(legacy.spec.address).toBe('127.77.9.1');
  expect(legacy.spec.outbound).toEqual([{ protocol: 'http', listen: 'unix:/tmp/run/legacy-billing.out' }]);
});

test('one call is undeclared and one declared edge is never called', () => {
  const declared = ofKind('ExpectedGraph').flatMap((graph) =>
    graph.spec.edges.map((edge) => `${graph.metadata.namespace}/${edge.from.serviceAccount} ${edge.to.namespace}/${edge.to.service}`),
  );
  const made = topology.workloads.flatMap((item) => callsOf(item).map((call) => `${item.namespace}/${item.name} ${call.to.namespace}/${call.to.name}`));
  expect([...new Set(made)].filter((edge) => !declared.includes(edge))).toEqual(['catalog/recommendation payments/currency']);
  expect(declared.filter((edge) => !made.includes(edge))).toEqual(['platform/reporting orders/shipping']);
});

test('payment takes checkout and refuses the rogue workload and plaintext', () => {
  const [mesh] = ofKind('Mesh');
  if (!mesh) throw new Error('no mesh');
  const authorization: AuthorizationPolicy[] = ofKind('AuthorizationPolicy').filter((item) => item.metadata.namespace === 'payments');
  const compiled = compileWorkloadPolicy({
    mesh: mesh.spec,
    workload: { namespace: 'payments', labels: { app: 'payment' } },
    authorizationPolicies: authorization,
    peerAuthentications: [],
  });
  const ask = (principal: string | null) =>
    decideTarget(compiled, {
      protocol: 'http',
      source: { principal, ip: '127.0.0.1' },
      destination: { ip: '127.77.3.1', port: 5052 },
      http: { method: 'POST', host: 'payment.payments', target: '/charges', headers: {} },
    }).decision.effect;
  expect(ask('spiffe://boutique.demo/ns/orders/sa/checkout')).toBe('ALLOW');
  expect(ask('spiffe://boutique.demo/ns/storefront/sa/rogue')).toBe('DENY');
  expect(ask(null)).toBe('DENY');
});

test('of the partner only its carrier may report, and each side knows the other’s workloads by their identities', () => {
  const { shop, partner } = loadFederation();
  const both = [shop, partner].map((side) => [...shopResources(side, place), ...federationResources(side), federatedTrustDomain(side, { url: 'https://127.0.0.1:1/', bundle: '{"keys":[]}' })]);
  for (const resource of both.flat()) expect(parseResource(resource)).toEqual(resource);
  const foreign = both.map((side) => side.flatMap((item) => (item.kind === 'Workload' && item.spec.spiffeId ? [item.spec.spiffeId] : [])));
  expect(foreign[0]).toEqual(['spiffe://partner.example/ns/delivery/sa/carrier', 'spiffe://partner.example/ns/delivery/sa/courier']);
  expect(foreign[1]?.toSorted()).toEqual(['orders/shipping', 'payments/payment', 'platform/reporting'].map((each) => `spiffe://boutique.demo/ns/${each.replace('/', '/sa/')}`));
  const rules = both.flatMap((side) => side.flatMap((item) => (item.kind === 'AuthorizationPolicy' ? [JSON.stringify(item.spec.rules)] : [])));
  expect(rules.filter((rule) => rule.includes('partner.example'))).toEqual([expect.stringContaining('partner.example/ns/delivery/sa/carrier')]);
  const addresses = both.map((side) => side.flatMap((item) => (item.kind === 'Workload' ? [`${item.metadata.name} ${item.spec.address}`] : [])));
  expect(addresses[1]?.filter((each) => !each.startsWith('c')).every((each) => addresses[0]?.includes(each))).toBe(true);
});

test('the demo rotates within minutes', () => {
  const [mesh] = ofKind('Mesh');
  expect(durationMs(mesh?.spec.certificates.leafLifetime ?? '24h')).toBeLessThanOrEqual(600_000);
});
