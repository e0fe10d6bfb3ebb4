import * as fc from 'fast-check';
import type { MeshWorkload } from '../mesh/index.ts';
import type { RawRequest } from '../policy/index.ts';
import { type AuthorizationPolicy, authorizationPolicy, mesh as meshSchema, type MeshSpec, type PeerAuthentication, peerAuthentication } from '../resources/index.ts';

const API = 'sallyport.dev/v1alpha1';

/** A mesh with one alias and one authorizer. */
export function aMeshSpec(spec: object = {}): MeshSpec {
  return meshSchema.parse({
    apiVersion: API, kind: 'Mesh', metadata: { name: 'default' },
    spec: { trustDomain: 'shop.test', trustDomainAliases: ['old.test'], extensionProviders: [{ name: 'guard', envoyExtAuthzGrpc: { service: 'guard', port: 9000 } }, { name: 'web-guard', envoyExtAuthzHttp: { service: 'guard', port: 9001 } }], ...spec },
  }).spec;
}

export function aPolicy(name: string, spec: object, namespace = 'pay'): AuthorizationPolicy {
  return authorizationPolicy.parse({ apiVersion: API, kind: 'AuthorizationPolicy', metadata: { name, namespace }, spec });
}

export function aPeerAuthentication(name: string, spec: object, namespace = 'pay'): PeerAuthentication {
  return peerAuthentication.parse({ apiVersion: API, kind: 'PeerAuthentication', metadata: { name, namespace }, spec });
}

/** One workload with an HTTP port 80, another 81 and a TCP port 90. */
export function theWorkload(changes: Partial<MeshWorkload> = {}): MeshWorkload {
  return {
    namespace: 'pay', name: 'card', labels: { app: 'card' }, serviceAccount: 'card', spiffeId: 'spiffe://shop.test/ns/pay/sa/card', address: '10.0.0.9', proxy: 'node-a',
    ports: [{ port: 80, protocol: 'http' }, { port: 81, protocol: 'http' }, { port: 90, protocol: 'tcp' }],
    ...changes,
  };
}

const some = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 });
const principals = some('shop.test/ns/a/sa/x', 'shop.test/ns/a/sa/y', 'shop.test/ns/b/sa/x', 'shop.test/ns/a/*', '*/sa/x', '*', 'other.test/ns/a/sa/x', 'old.test/ns/a/sa/y', 'sh*', 'other.test*');
const paths = some('/a', '/a/b', '/a*', '*b', '/a/{*}', '/{**}/b', '/a/{**}', '*', '/a//b', '/a/', '*/b', '/{*}/b', '/ab', '/a/../b', '/a/b/{*}');
const ips = some('10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '0.0.0.0/0', 'fd00::/8', '::/0');
const claims = some('u', 'v', 'u*', '*v', '*');
const optional = { requiredKeys: [] };
const filled = (value: object) => Object.keys(value).length > 0;

const source = fc.oneof(
  fc.record({ principals, notPrincipals: principals, namespaces: some('a', 'b', 'a*', '*b', '*'), notNamespaces: some('a', '*'), ipBlocks: ips, notIpBlocks: ips, remoteIpBlocks: ips, trustDomains: some('shop.test', 'other.test', 'o*'), requestPrincipals: some('iss/u', 'iss/*', '*', '*/v') }, optional),
  fc.record({ serviceAccounts: some('a/x', 'x', 'b/x'), notServiceAccounts: some('a/x'), ipBlocks: ips }, optional),
).filter(filled);
const operation = fc.record({ hosts: some('h', 'h:80', '*.h', 'h*', '*'), notHosts: some('h'), ports: some('80', '81', '90'), notPorts: some('80'), methods: some('GET', 'POST', 'G*', '*'), notMethods: some('GET'), paths, notPaths: paths }, optional).filter(filled);
const condition = fc.oneof(
  fc.record({ key: fc.constant('request.headers[X-Env]'), values: some('v', 'w', 'v*', '*'), notValues: some('v', '*w') }, { requiredKeys: ['key'] }),
  fc.record({ key: fc.constantFrom('request.headers[:method]', 'request.headers[:authority]'), values: some('GET', 'G*', 'H:80', 'h'), notValues: some('*', 'x.h') }, { requiredKeys: ['key'] }),
  fc.record({ key: fc.constantFrom('request.auth.claims[role]', 'request.auth.audiences', 'request.auth.presenter'), values: claims, notValues: claims }, { requiredKeys: ['key'] }),
  fc.record({ key: fc.constant('connection.sni'), values: some('s', 's*'), notValues: some('*t') }, { requiredKeys: ['key'] }),
  fc.record({ key: fc.constantFrom('source.ip', 'remote.ip', 'destination.ip'), values: ips, notValues: ips }, { requiredKeys: ['key'] }),
).filter((each) => 'values' in each || 'notValues' in each);
const few = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 2 });

const rule = fc.record({ from: few(source.map((each) => ({ source: each }))), to: few(operation.map((each) => ({ operation: each }))), when: few(condition) }, optional);
const CUSTOM_REFUSES = /rincipals|amespaces|erviceAccounts|rustDomains/;

/** Specs of every action that the schema takes. */
export const policySpec = fc
  .record({ action: fc.constantFrom('ALLOW', 'ALLOW', 'DENY', 'DENY', 'AUDIT', 'CUSTOM'), provider: fc.constantFrom('guard', 'guard', 'web-guard', 'gone'), rules: fc.array(rule, { minLength: 0, maxLength: 3 }), selector: fc.constantFrom(undefined, { matchLabels: { app: 'card' } }, { matchLabels: { app: 'other' } }) })
  .filter(({ action, rules }) => action === 'ALLOW' || rules.length > 0)
  .filter(({ action, rules }) => action !== 'CUSTOM' || !CUSTOM_REFUSES.test(JSON.stringify(rules)))
  .map(({ action, rules, selector, provider }) => ({ action, rules, ...(selector ? { selector } : {}), ...(action === 'CUSTOM' ? { provider: { name: provider } } : {}) }));

/** Zero to four policies of the workload's namespace. */
export const policies = fc.array(policySpec, { maxLength: 4 }).map((specs) => specs.map((spec, index) => aPolicy(`p${index}`, spec)));

export const peerAuthentications = fc.oneof(
  { weight: 3, arbitrary: fc.constant([] as PeerAuthentication[]) },
  { weight: 1, arbitrary: fc.constantFrom('STRICT', 'DISABLE').map((mode) => [aPeerAuthentication('mode', { mtls: { mode } })]) },
);

const principal = fc.constantFrom(null, 'spiffe://shop.test/ns/a/sa/x', 'spiffe://shop.test/ns/a/sa/y', 'spiffe://shop.test/ns/b/sa/x', 'spiffe://shop.test/ns/ab/sa/z', 'spiffe://other.test/ns/a/sa/x', 'spiffe://old.test/ns/a/sa/y', 'spiffe://other.test', 'spiffe://else.test/x/y');
const address = fc.constantFrom('10.1.2.3', '10.1.9.9', '10.9.9.9', '192.0.2.1', 'fd00::1', '2001:db8::1');
const token = fc.oneof(fc.constant(null), fc.record({
  claims: fc.record({ iss: fc.constantFrom('iss', 'jss'), sub: fc.constantFrom('u', 'v'), role: fc.oneof(claims, fc.constantFrom('u', 'uv', 'w')), aud: fc.constantFrom('u', 'v', 'wv'), azp: fc.constantFrom('u', 'x') }, optional),
  spaceDelimited: fc.constant(['scope', 'permission']),
}));
const common = {
  source: fc.record({ principal, ip: address, remoteIp: address }, { requiredKeys: ['principal', 'ip'] }),
  sni: fc.constantFrom('s', 'st', 't', 'x'),
};
const httpRequest = fc.record({
  protocol: fc.constant('http' as const), ...common, token,
  destination: fc.constantFrom(80, 81).map((port) => ({ ip: '10.0.0.9', port })),
  http: fc.record({
    method: fc.constantFrom('GET', 'POST', 'GX', 'PUT'), host: fc.constantFrom('h', 'H:80', 'x.h', 'x.h:99', 'hh', 'q', 'h:99'),
    target: fc.constantFrom('/', '/a', '/a/', '/a/b', '/ab', '/a/c', '/a/b/c', '/b', '/x/b', '/x/y/b', '/a/b/b', '/a//b', '*', '/q?x=1', '/a/x/../b', '/a/x|y', '/a|/b', '/|/b'),
    headers: fc.oneof(fc.constant({}), some('v', 'w', 'vw', 'x').map((values) => ({ 'x-env': values }))),
  }),
});
const tcpRequest = fc.record({ protocol: fc.constant('tcp' as const), ...common, destination: fc.constant({ ip: '10.0.0.9', port: 90 }) });

/** Requests to {@link theWorkload}. */
export const requests: fc.Arbitrary<RawRequest> = fc.oneof({ weight: 4, arbitrary: httpRequest }, { weight: 1, arbitrary: tcpRequest });
