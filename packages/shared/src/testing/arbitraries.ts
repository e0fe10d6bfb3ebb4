import * as fc from 'fast-check';
import type { NormalPath, PolicyRequest } from '../policy/index.ts';
import { type AuthorizationPolicy, authorizationPolicy, API_VERSION, meshSpec, type MeshSpec } from '../resources/index.ts';

// Small vocabularies, so that random policies and requests meet often and on their borders.
const list = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const PRINCIPALS = ['*', 'td/ns/a/sa/x', 'td/ns/a/sa/y', 'old/ns/a/sa/x', 'cluster.local/ns/b/sa/x', 'td/ns/a/*', '*/sa/x', 'far/ns/a/sa/x', 'td/web', '*/ns/b/sa/x'];
const NAMESPACES = ['a', 'b', '*', 'a*', '*b', 'a*s', '*sa'];
const PATHS = ['/', '/a', '/a/*', '/a/b', '*.html', '/a/{*}', '/a/{*}/c', '/{**}', '/a/{**}/c', '*'];
const BLOCKS = ['10.0.0.1', '10.0.0.0/24', '10.0.0.0/8', '0.0.0.0/0', '192.168.0.0/16'];

const optional = <T extends object>(record: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(record, { requiredKeys: [] }).filter((value) => Object.keys(value).length > 0);

const identity = { principals: list(...PRINCIPALS), notPrincipals: list(...PRINCIPALS), namespaces: list(...NAMESPACES), notNamespaces: list(...NAMESPACES), trustDomains: list('td', 'old', '*', 'f*'), notTrustDomains: list('old', 'far') };
const accounts = { serviceAccounts: list('x', 'a/x', 'b/y', 'z/x'), notServiceAccounts: list('a/x', 'y') };
const addresses = { ipBlocks: list(...BLOCKS), notIpBlocks: list(...BLOCKS), remoteIpBlocks: list(...BLOCKS), notRemoteIpBlocks: list(...BLOCKS) };
const tokens = { requestPrincipals: list('*', 'i/s', 'i/*', '*/t', 'i*', '*s', 'u://i/s', 'u://i/*', 'i'), notRequestPrincipals: list('*', 'i/s', '*i/s') };
const sparse = <T extends object>(record: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.constantFrom(...(Object.keys(record) as (keyof T)[])).chain((first) => fc.tuple(record[first], maybe(optional(record))).map(([value, more]) => ({ ...more, [first]: value })));

const custom = sparse(addresses);
const source = fc.oneof(sparse(identity), sparse({ ...accounts, ...addresses }), sparse(tokens), sparse({ principals: identity.principals, ...addresses, ...tokens }));
const operation = sparse({
  hosts: list('h', 'H:80', '*.h', 'x.*', '*'), notHosts: list('h', '*.h'), ports: list('80', '443'), notPorts: list('80'),
  methods: list('GET', 'POST', 'P*', '*'), notMethods: list('GET'), paths: list(...PATHS), notPaths: list(...PATHS),
});

const valued = (key: string, values: fc.Arbitrary<string[]>) =>
  fc.oneof(values.map((each) => ({ key, values: each })), values.map((each) => ({ key, notValues: each })), fc.tuple(values, values).map(([yes, no]) => ({ key, values: yes, notValues: no })));
const networkCondition = fc.oneof(
  valued('source.ip', list(...BLOCKS)), valued('remote.ip', list(...BLOCKS)), valued('destination.ip', list(...BLOCKS)),
  valued('destination.port', list('80', '443')), valued('connection.sni', list('sni', '*', 's*')), valued('request.headers[X-A]', list('1', '2', '*', '1*')),
);
const condition = fc.oneof(
  networkCondition, valued('source.namespace', list(...NAMESPACES)), valued('source.principal', list(...PRINCIPALS)), valued('source.serviceAccount', list('x', 'a/x')),
  valued('source.trustDomain', list('td', 'far')), valued('request.auth.principal', list('i/s', '*')), valued('request.auth.audiences', list('m', 'n*')),
  valued('request.auth.presenter', list('z')), valued('request.auth.claims[scope]', list('read', 'write', 'read write')), valued('request.auth.claims[g][h]', list('1', '*')),
);

const rule = (from: fc.Arbitrary<object>, when: fc.Arbitrary<object>) =>
  fc.record({
    from: maybe(fc.array(from.map((each) => ({ source: each })), { minLength: 1, maxLength: 2 })),
    to: maybe(fc.array(operation.map((each) => ({ operation: each })), { minLength: 1, maxLength: 2 })),
    when: maybe(fc.array(when, { minLength: 1, maxLength: 2 })),
  });

const spec = fc.oneof(
  fc.record({ action: fc.constantFrom('ALLOW', 'ALLOW', 'DENY', 'AUDIT'), enforcement: fc.constantFrom('Enforce', 'Enforce', 'Enforce', 'DryRun'), rules: fc.array(rule(source, condition), { minLength: 1, maxLength: 7 }) }),
  fc.constant({ action: 'ALLOW' }),
  fc.record({ action: fc.constant('CUSTOM'), provider: fc.constantFrom('gate', 'gate', 'gate', 'other', 'missing').map((name) => ({ name })), rules: fc.array(rule(custom, networkCondition), { minLength: 1, maxLength: 2 }) }),
);

/** A random policy that the schema accepts, in namespace `pay`, the root namespace or elsewhere. */
export const anyPolicy: fc.Arbitrary<AuthorizationPolicy> = fc
  .record({
    name: fc.integer({ min: 0, max: 1e6 }).map((n) => `p${n}`),
    namespace: fc.constantFrom('pay', 'pay', 'pay', 'sallyport-system', 'elsewhere'),
    selector: maybe(fc.constantFrom({ matchLabels: { app: 'pay' } }, { matchLabels: { app: 'other' } }, {})),
    spec,
  })
  .map(({ name, namespace, selector, spec: rest }) => {
    const written = JSON.parse(JSON.stringify({ apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name, namespace }, spec: { ...rest, selector } })) as unknown;
    return authorizationPolicy.parse(written);
  });

/** A mesh of either compatibility, with an alias and two authorizers. */
export const anyMesh: fc.Arbitrary<MeshSpec> = fc.tuple(fc.constantFrom('sallyport', 'istio'), fc.constantFrom('envoyExtAuthzGrpc', 'envoyExtAuthzHttp')).map(([compatibility, protocol]) =>
  meshSpec.parse({
    trustDomain: 'td', trustDomainAliases: ['old'], compatibility,
    extensionProviders: ['gate', 'other'].map((name) => ({ name, [protocol]: { service: 'localhost', port: 9 } })),
  }),
);

const token = maybe(
  fc.record({
    claims: fc.record({
      iss: fc.constantFrom('i', 'i', 'u://i'), sub: fc.constantFrom('s', 't', '', 'x/s', undefined), aud: fc.constantFrom('m', ['m', 'nn'], undefined), azp: fc.constantFrom('z', 1),
      scope: fc.constantFrom('read write', 'read', ['write'], undefined), g: fc.constantFrom({ h: '1' }, { h: ['2', 1] }, 'g', undefined),
    }),
    spaceDelimited: fc.constant(['scope', 'permission']),
  }),
);

/** A random request from the same vocabulary. Paths are in normal form. */
export const anyRequest: fc.Arbitrary<PolicyRequest> = fc
  .record({
    principal: fc.constantFrom(null, 'spiffe://td/ns/a/sa/x', 'spiffe://td/ns/a/sa/y', 'spiffe://old/ns/a/sa/x', 'spiffe://td/ns/b/sa/x', 'spiffe://far/ns/a/sa/x', 'spiffe://td/web', 'spiffe://td/z/ns/a/sa/x', 'spiffe://td/ns/a/k/v/sa/x', 'spiffe://td/ns/a/sa/x/y', 'spiffe://td/ns/a/sa/xx'),
    ip: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.9.0.1', '192.168.1.1', '8.8.8.8'),
    remoteIp: maybe(fc.constantFrom('10.0.0.1', '8.8.8.8')),
    port: fc.constantFrom(80, 443, 81),
    sni: maybe(fc.constantFrom('sni', 'other')),
    tcp: fc.constantFrom(false, false, true),
    method: fc.constantFrom('GET', 'POST', 'PUT'),
    host: fc.constantFrom('h', 'H', 'h:80', 'a.h', 'x.y', ''),
    path: fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/c', '/a/c', '/x.html', '/a/b/d/c', '/a/b*c', '/a/b|/d/c'),
    headers: fc.constantFrom({}, { 'x-a': ['1'] }, { 'x-a': ['3', '2'] }, { 'x-a': [''] }, { 'x-a': [] }),
    token,
  })
  .map(({ principal, ip, remoteIp, port, sni, tcp, method, host, path, headers, token }) => {
    const common = { source: { principal, ip, ...(remoteIp === undefined ? {} : { remoteIp }) }, destination: { ip: '10.0.0.9', port }, ...(sni === undefined ? {} : { sni }) };
    if (tcp) return { protocol: 'tcp', ...common };
    return { protocol: 'http', ...common, http: { method, host, path: path as NormalPath, headers }, token: token ?? null };
  });
