import { expect, it } from 'vitest';
import { decidedAs, PORT_PROTOCOLS, type PortProtocol } from '../mesh/index.ts';
import { KINDS } from '../resources/index.ts';
import { aWorkload } from '../testing/index.ts';
import { diff } from './diff/diff.ts';
import { lint } from './lint/lint.ts';
import type { PolicySet, Universe } from './model.ts';
import { aMeshSpec, aPeerAuthentication, aPolicy } from './random.fixture.ts';
import { ReachIndex } from './reach/index-of-reach.ts';

const card = (protocol: PortProtocol) => aWorkload('pay/card', { ports: [{ port: 80, protocol }] });
const universeOf = (protocol: PortProtocol): Universe => ({ workloads: [card(protocol), aWorkload('shop/web')], services: [] });
const WEB = aWorkload('shop/web').spiffeId;
const strict = [aPeerAuthentication('strict', { mtls: { mode: 'STRICT' } })];
const setOf = (spec: object): PolicySet => ({ mesh: aMeshSpec(), authorizationPolicies: [aPolicy('p', spec)], peerAuthentications: strict });
const ONLY_GET = { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] };

it.each<[PortProtocol, string[]]>([
  ['http', ['http']], ['http2', ['http']], ['grpc', ['http']], ['tcp', ['tcp']], ['tls', ['tcp']], ['auto', ['http', 'tcp']],
])('a port of %s is decided as %j, for reach and for differences too', (protocol, as) => {
  expect(decidedAs(protocol)).toEqual(as);
  const everybody = setOf({ rules: [{}] });
  expect(new ReachIndex(everybody, universeOf(protocol)).ways(card(protocol), WEB).map((way) => way.protocol)).toEqual(as);
  const changes = diff(setOf({}), everybody, universeOf(protocol)).changes;
  expect([...new Set(changes.map((change) => change.protocol))].sort()).toEqual(as);
});

it.each<[PortProtocol, string[]]>([
  ['http', ['http']], ['http2', ['http']], ['grpc', ['http']], ['tcp', []], ['tls', []], ['auto', ['http']],
])('a rule about methods lets through on a port of %s: %j', (protocol, as) => {
  expect(new ReachIndex(setOf(ONLY_GET), universeOf(protocol)).ways(card(protocol), WEB).map((way) => way.protocol)).toEqual(as);
});

it.each<[PortProtocol, string[]]>([
  ['http', []], ['http2', []], ['grpc', []], ['tcp', ['TCP port 80']], ['tls', ['TCP port 80']], ['auto', ['TCP port 80 (auto, when a connection is no HTTP)']],
])('the lint on a port of %s says of a rule about methods: %j', (protocol, ports) => {
  const found = lint(setOf(ONLY_GET), universeOf(protocol)).filter(({ code }) => code === 'http-on-tcp');
  expect(found.map(({ message }) => /^on (.*) there is no HTTP/.exec(message)?.[1])).toEqual(ports);
});

it.each(PORT_PROTOCOLS)('%s may be declared of workloads and services', (protocol) => {
  const metadata = { name: 'a', namespace: 'b' };
  const spec = { serviceAccount: 'a', address: '10.0.0.1', inbound: [{ port: 1, protocol, app: '127.0.0.1:2' }] };
  expect(KINDS.Workload.schema.parse({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'Workload', metadata, spec }).spec.inbound[0]?.protocol).toBe(protocol);
  const service = { selector: { app: 'a' }, ports: [{ port: 1, protocol }] };
  expect(KINDS.Service.schema.parse({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'Service', metadata, spec: service }).spec.ports[0]?.protocol).toBe(protocol);
});
