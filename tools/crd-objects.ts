import { API_VERSION, type Kind, KINDS } from '@sallyport/shared/resources';
import { COMPLETE } from './crd-complete.ts';

/** An object, and what each of the two checks must say of it. */
export interface SampleObject {
  readonly name: string;
  readonly kind: Kind;
  readonly spec: unknown;
  readonly metadata?: object;
  /** What the store, the API and the command line say. */
  readonly zod: 'takes' | 'refuses';
  /** What the API server of Kubernetes says by the CRD; where it takes what zod refuses, `why` says so. */
  readonly crd: 'takes' | 'refuses' | 'prunes';
  readonly why?: string;
}

const both = (verdict: 'takes' | 'refuses') => ({ zod: verdict, crd: verdict }) as const;
const onlyZod = (why: string) => ({ zod: 'refuses', crd: 'takes', why }) as const;
const COST = 'a CEL rule over all values of all rules would exceed the API server’s cost limit';

function policy(name: string, spec: object, verdict: Pick<SampleObject, 'zod' | 'crd' | 'why'>): SampleObject {
  return { name, kind: 'AuthorizationPolicy', spec, ...verdict };
}
const from = (source: object) => ({ rules: [{ from: [{ source }] }] });
const paths = (...values: string[]) => ({ rules: [{ to: [{ operation: { paths: values } }] }] });
const provider = { name: 'gate' };
const http = { service: 'authz', port: 80 };
const mesh = (name: string, spec: object, verdict: Pick<SampleObject, 'zod' | 'crd' | 'why'>): SampleObject => ({ name, kind: 'Mesh', spec: { trustDomain: 'td', ...spec }, ...verdict });
const peer = (name: string, spec: object, verdict: Pick<SampleObject, 'zod' | 'crd' | 'why'>): SampleObject => ({ name, kind: 'PeerAuthentication', spec, ...verdict });
const jwt = (name: string, rule: object, verdict: Pick<SampleObject, 'zod' | 'crd' | 'why'>): SampleObject =>
  ({ name, kind: 'RequestAuthentication', spec: { jwtRules: [{ issuer: 'i', ...rule }] }, ...verdict });
const federated = (how: string, spec: object, verdict: Pick<SampleObject, 'zod' | 'crd' | 'why'>): SampleObject =>
  ({ name: `another trust domain, ${how}`, kind: 'FederatedTrustDomain', spec: { trustDomain: 'other.test', bundleEndpointURL: 'https://other.test/', ...spec }, ...verdict });

const POLICIES: readonly SampleObject[] = [
  policy('nothing: an ALLOW that matches nothing', {}, both('takes')),
  policy('one empty rule', { action: 'DENY', rules: [{}] }, both('takes')),
  policy('a DENY without rules', { action: 'DENY' }, both('refuses')),
  policy('an AUDIT with an empty list', { action: 'AUDIT', rules: [] }, both('refuses')),
  policy('CUSTOM', { action: 'CUSTOM', provider, rules: [{ to: [{ operation: { paths: ['/a'] } }] }] }, both('takes')),
  policy('CUSTOM without a provider', { action: 'CUSTOM', rules: [{}] }, both('refuses')),
  policy('a provider without CUSTOM', { provider, rules: [{}] }, both('refuses')),
  policy('CUSTOM as a dry run', { action: 'CUSTOM', provider, enforcement: 'DryRun', rules: [{}] }, both('refuses')),
  policy('CUSTOM by address', { action: 'CUSTOM', provider, ...from({ ipBlocks: ['10.0.0.0/8'] }) }, both('takes')),
  ...['principals', 'notPrincipals', 'serviceAccounts', 'notServiceAccounts', 'trustDomains', 'notTrustDomains', 'namespaces', 'notNamespaces', 'requestPrincipals', 'notRequestPrincipals']
    .flatMap((field) => [
      policy(`CUSTOM by ${field}`, { action: 'CUSTOM', provider, ...from({ [field]: ['a'] }) }, both('refuses')),
      policy(`ALLOW by ${field}`, from({ [field]: ['a'] }), both('takes')),
    ]),
  policy('a source without a field', from({}), both('refuses')),
  policy('an operation without a field', { rules: [{ to: [{ operation: {} }] }] }, both('refuses')),
  policy('service accounts beside principals', from({ serviceAccounts: ['a'], principals: ['b'] }), both('refuses')),
  policy('service accounts beside notNamespaces', from({ notServiceAccounts: ['a'], notNamespaces: ['b'] }), both('refuses')),
  policy('service accounts beside trust domains', from({ serviceAccounts: ['a'], trustDomains: ['b'] }), both('takes')),
  policy('a service account with a star', from({ serviceAccounts: ['a*'] }), both('refuses')),
  policy('selector and targetRefs', { selector: {}, targetRefs: [{ kind: 'Service', name: 'a' }] }, both('refuses')),
  policy('targetRefs', { targetRefs: [{ kind: 'Service', name: 'a' }] }, both('takes')),
  policy('a condition', { rules: [{ when: [{ key: 'request.headers[x-a]', values: ['1'] }] }] }, both('takes')),
  policy('a condition without values', { rules: [{ when: [{ key: 'source.ip' }] }] }, both('refuses')),
  policy('a condition that is unknown', { rules: [{ when: [{ key: 'request.header[x]', values: ['1'] }] }] }, both('refuses')),
  policy('a condition on an address that is none', { rules: [{ when: [{ key: 'source.ip', values: ['nowhere'] }] }] }, onlyZod(COST)),
  ...['10.0.0.1', '10.0.0.0/8', '10.0.0.7/8', '::1', 'fd00::/8', '::ffff:10.0.0.1', '2001:db8::1/128'].map((block) => policy(`the block ${block}`, from({ ipBlocks: [block] }), both('takes'))),
  ...['10.1', 'ten', '10.0.0.0/33', '10.0.0.0/', '', 'a.b.c.d', '10.0.0.256', '10.0.0.01', '1::2::3', '::1%', '::1/129'].map((block) => policy(`the block "${block}"`, from({ remoteIpBlocks: [block] }), both('refuses'))),
  ...['/a', '/a*', '*', '*.html', '/a/{*}/b', '/{**}', '/a/{*}/{**}/b', '{*}'].map((path) => policy(`the path ${path}`, paths(path), both('takes'))),
  ...['/a/{**}/{*}', '/{**}/{**}', '/a{*}', '/{a}', '/{*}/b*', '/{***}', ''].map((path) => policy(`the path "${path}"`, paths(path), both('refuses'))),
  ...['1', '65535'].map((port) => policy(`port ${port}`, { rules: [{ to: [{ operation: { ports: [port] } }] }] }, both('takes'))),
  ...['0', '65536', '080', 'http', '99999'].map((port) => policy(`port ${port}`, { rules: [{ to: [{ operation: { ports: [port] } }] }] }, both('refuses'))),
  policy('an unknown field', { rulez: [] }, { zod: 'refuses', crd: 'prunes', why: 'structural schemas prune; kubectl refuses on its own (--validate=strict)' }),
];

const PARENTS = {
  selfSigned: {},
  file: { certificateFile: '/etc/ca/tls.crt', keyFile: '/etc/ca/tls.key' },
  vault: { address: 'https://vault.test:8200', tokenFile: '/run/vault/token' },
  certManager: { namespace: 'sallyport-system', issuerRef: { name: 'corporate' } },
  spire: { workloadApi: '/run/spire/agent.sock' },
};
const traffic = (name: string, spec: object, verdict: Pick<SampleObject, 'zod' | 'crd' | 'why'>): SampleObject =>
  ({ name: `calls with ${name}`, kind: 'TrafficPolicy', spec: { targetRefs: [{ kind: 'Service', name: 'a' }], ...spec }, ...verdict });
const timeouts = (request: string, backendRequest: string, verdict: 'takes' | 'refuses') => traffic(`timeouts ${request} and ${backendRequest}`, { timeouts: { request, backendRequest } }, both(verdict));
const half = { percentage: { value: 50 } };

const TRAFFIC: readonly SampleObject[] = [
  traffic('nothing but their service', {}, both('takes')),
  traffic('no service', { targetRefs: [] }, both('refuses')),
  traffic('a gateway', { targetRefs: [{ kind: 'Gateway', name: 'a' }] }, both('refuses')),
  timeouts('10s', '2s', 'takes'),
  timeouts('1m', '60s', 'takes'),
  timeouts('1h', '59m59s999ms', 'takes'),
  timeouts('1s', '1001ms', 'refuses'),
  timeouts('0s', '2s', 'takes'),
  timeouts('2s', '0s', 'takes'),
  timeouts('61m', '1s', 'refuses'),
  ...['1.5s', '10', '-1s', '1us', '1h1h1h1h1h', ''].map((text) => timeouts('0s', text, 'refuses')),
  traffic('no timeout', { timeouts: {} }, both('refuses')),
  traffic('repetitions', { retry: { codes: [503], attempts: 3, backoff: '100ms', methods: ['POST'] }, retryConstraint: { budget: { percent: 10 }, minRetryRate: {} } }, both('takes')),
  traffic('a repetition by default', { retry: {}, retryConstraint: {} }, both('takes')),
  traffic('a backoff that is too short', { retry: { backoff: '0s' } }, both('refuses')),
  traffic('a good answer repeated', { retry: { codes: [200] } }, both('refuses')),
  traffic('more repetitions than ten', { retry: { attempts: 11 } }, both('refuses')),
  traffic('a budget of nothing', { retryConstraint: {} }, both('refuses')),
  traffic('a division', { backendRefs: [{ name: 'a', weight: 9 }, { name: 'b', port: 80 }] }, both('takes')),
  traffic('a division among none', { backendRefs: [{ name: 'a', weight: 0 }] }, both('refuses')),
  traffic('a backend elsewhere', { backendRefs: [{ name: 'a', namespace: 'b' }] }, { zod: 'refuses', crd: 'prunes', why: 'as every unknown field' }),
  traffic('a mirror', { requestMirror: { backendRef: { name: 'b' }, fraction: { numerator: 1, denominator: 3 } } }, both('takes')),
  traffic('a mirror of too much', { requestMirror: { backendRef: { name: 'b' }, fraction: { numerator: 101 } } }, both('refuses')),
  traffic('a mirror by both', { requestMirror: { backendRef: { name: 'b' }, percent: 1, fraction: { numerator: 1 } } }, both('refuses')),
  traffic('faults', { fault: { delay: { ...half, fixedDelay: '5s' }, abort: { percentage: { value: 0.5 }, grpcStatus: 'UNAVAILABLE' } } }, both('takes')),
  traffic('a fault that is none', { fault: {} }, both('refuses')),
  traffic('an abort of no kind', { fault: { abort: half } }, both('refuses')),
  traffic('an abort of both kinds', { fault: { abort: { ...half, httpStatus: 503, grpcStatus: 'INTERNAL' } } }, both('refuses')),
  traffic('more than all delayed', { fault: { delay: { percentage: { value: 101 }, fixedDelay: '5s' } } }, both('refuses')),
  traffic('a hash', { loadBalancer: { type: 'ConsistentHash', consistentHash: { header: 'x-user' } } }, both('takes')),
  traffic('a hash of the source', { loadBalancer: { type: 'ConsistentHash', consistentHash: { sourceIP: true } } }, both('takes')),
  traffic('a hash of two', { loadBalancer: { type: 'ConsistentHash', consistentHash: { header: 'x-user', cookie: 'c' } } }, both('refuses')),
  traffic('a hash of none', { loadBalancer: { type: 'ConsistentHash', consistentHash: {} } }, both('refuses')),
  traffic('a hash without its type', { loadBalancer: { consistentHash: { header: 'x-user' } } }, both('refuses')),
  traffic('the type without its hash', { loadBalancer: { type: 'ConsistentHash' } }, both('refuses')),
  traffic('near endpoints first', { loadBalancer: { localityLbSetting: {} } }, both('takes')),
  traffic('limits', { circuitBreaker: { maxConnections: 1, maxRequests: 1, maxPendingRequests: 0 } }, both('takes')),
  traffic('a queue without a limit', { circuitBreaker: { maxPendingRequests: 1 } }, both('refuses')),
  traffic('no limit', { circuitBreaker: {} }, both('refuses')),
  traffic('ejection', { outlierDetection: {} }, both('takes')),
  traffic('ejection for a moment', { outlierDetection: { baseEjectionTime: '999ms' } }, both('refuses')),
];

const OTHERS: readonly SampleObject[] = [
  mesh('a mesh with nothing but its name', {}, both('takes')),
  mesh('a trust domain in upper case', { trustDomain: 'TD' }, both('refuses')),
  mesh('one authorizer', { extensionProviders: [{ name: 'a', envoyExtAuthzHttp: http }] }, both('takes')),
  mesh('an authorizer of both kinds', { extensionProviders: [{ name: 'a', envoyExtAuthzHttp: http, envoyExtAuthzGrpc: http }] }, both('refuses')),
  mesh('an authorizer of no kind', { extensionProviders: [{ name: 'a' }] }, both('refuses')),
  mesh('failOpen', { extensionProviders: [{ name: 'a', envoyExtAuthzGrpc: { ...http, failOpen: true } }] }, { zod: 'refuses', crd: 'prunes', why: 'as every unknown field' }),
  mesh('a coverage that is too low', { strict: { minimumCoverage: 0.4 } }, both('refuses')),
  ...[{ leafLifetime: '60s', issuerLifetime: '6m', rootLifetime: '12m' }, { leafLifetime: '168h', issuerLifetime: '1008h' }, { rootActivation: 'manual', nameConstraints: false }].map((certificates) => mesh('lifetimes that fit', { certificates }, both('takes'))),
  ...[{ leafLifetime: '9s' }, { leafLifetime: '169h' }, { leafLifetime: '1h', issuerLifetime: '5h' }, { issuerLifetime: '720h', rootLifetime: '1000h' }].map((certificates) => mesh(`lifetimes that do not fit, ${JSON.stringify(certificates)}`, { certificates }, both('refuses'))),
  ...Object.entries(PARENTS).map(([kind, spec]) => mesh(`a CA of kind ${kind}`, { ca: { [kind]: spec } }, both('takes'))),
  mesh('a CA of no kind', { ca: {} }, both('refuses')),
  mesh('a CA of two kinds', { ca: { selfSigned: {}, file: PARENTS.file } }, both('refuses')),
  mesh('a Vault whose address has a path', { ca: { vault: { ...PARENTS.vault, address: 'https://vault.test/v1' } } }, both('refuses')),
  mesh('a file without its whole path', { ca: { file: { ...PARENTS.file, keyFile: 'tls.key' } } }, both('refuses')),
  mesh('a duration without a unit', { certificates: { leafLifetime: '24' } }, both('refuses')),
  peer('a mode', { mtls: { mode: 'STRICT' } }, both('takes')),
  peer('a mode that is none', { mtls: { mode: 'MUTUAL' } }, both('refuses')),
  peer('a port’s mode', { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { 8080: { mode: 'DISABLE' } } }, both('takes')),
  peer('a port that is none', { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { http: { mode: 'DISABLE' } } }, both('refuses')),
  peer('too many ports', { portLevelMtls: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [String(n + 1), { mode: 'STRICT' }])) }, both('refuses')),
  jwt('an issuer', {}, both('takes')),
  jwt('keys from a place', { jwksUri: 'https://issuer.test/keys' }, both('takes')),
  jwt('keys from a file', { jwksUri: 'file:///etc/keys' }, both('refuses')),
  jwt('keys twice', { jwksUri: 'https://issuer.test/keys', jwks: '{"keys":[]}' }, both('refuses')),
  jwt('keys that are no JSON', { jwks: 'keys' }, onlyZod('CEL cannot read JSON')),
  jwt('a header name that is none', { fromHeaders: [{ name: 'a b' }] }, both('refuses')),
  { name: 'a service', kind: 'Service', spec: { selector: { app: 'a' }, ports: [{ port: 80 }] }, ...both('takes') },
  { name: 'a service without ports', kind: 'Service', spec: { selector: {}, ports: [] }, ...both('refuses') },
  { name: 'a workload', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', outbound: [{ protocol: 'http', listen: '127.0.0.1:80' }] }, ...both('takes') },
  { name: 'a workload at IPv6', kind: 'Workload', spec: { serviceAccount: 'a', address: 'fd00::1' }, ...both('takes') },
  { name: 'a workload in a zone', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', locality: { region: 'north', zone: 'north-1' } }, ...both('takes') },
  { name: 'a workload in a zone of nowhere', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', locality: { zone: 'north-1' } }, ...both('refuses') },
  { name: 'a workload at a name', kind: 'Workload', spec: { serviceAccount: 'a', address: 'host' }, ...both('refuses') },
  { name: 'an application that others could reach', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', inbound: [{ port: 1, protocol: 'http', app: '0.0.0.0:80' }] }, ...both('refuses') },
  { name: 'a TCP listener without its service', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', outbound: [{ protocol: 'tcp', listen: '127.0.0.1:80' }] }, ...both('refuses') },
  { name: 'expected calls', kind: 'ExpectedGraph', spec: { edges: [{ from: { serviceAccount: 'a' }, to: { service: 'b' } }] }, ...both('takes') },
  federated('by its host name', { bundleEndpointProfile: { type: 'https_web' } }, both('takes')),
  federated('by its SPIFFE ID', { bundleEndpointProfile: { type: 'https_spiffe', endpointSPIFFEID: 'spiffe://other.test/e' }, trustDomainBundle: '{}' }, both('takes')),
  federated('by a SPIFFE ID without a bundle', { bundleEndpointProfile: { type: 'https_spiffe', endpointSPIFFEID: 'spiffe://other.test/e' } }, both('refuses')),
  federated('by no SPIFFE ID', { bundleEndpointProfile: { type: 'https_spiffe' }, trustDomainBundle: '{}' }, both('refuses')),
  federated('by both', { bundleEndpointProfile: { type: 'https_web', endpointSPIFFEID: 'spiffe://other.test/e' } }, both('refuses')),
  federated('by a SPIFFE ID of a third', { bundleEndpointProfile: { type: 'https_spiffe', endpointSPIFFEID: 'spiffe://other.test.evil/e' }, trustDomainBundle: '{}' }, both('refuses')),
  federated('without encryption', { bundleEndpointURL: 'http://other.test/', bundleEndpointProfile: { type: 'https_web' } }, both('refuses')),
  { name: 'users of the Workload API', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', workloadApi: { uids: [1000] } }, ...both('takes') },
  { name: 'unknown users of the Workload API', kind: 'Workload', spec: { serviceAccount: 'a', address: '10.0.0.1', workloadApi: { uids: [65534] } }, ...both('refuses') },
  { name: 'a name with a dot', kind: 'ExpectedGraph', spec: { edges: [] }, metadata: { name: 'a.b' }, ...both('refuses') },
  { name: 'a name that is too long', kind: 'ExpectedGraph', spec: { edges: [] }, metadata: { name: 'a'.repeat(64) }, ...both('refuses') },
];

/** Objects at the borders of every check across fields, for zod and for the CRDs alike. */
export const SAMPLES: readonly SampleObject[] = [...POLICIES, ...TRAFFIC, ...OTHERS, ...COMPLETE.map((sample): SampleObject => ({ ...sample, ...both('takes') }))];

/** A valid sample of a kind. */
export function sampleOf(kind: Kind): SampleObject {
  const found = SAMPLES.find((sample) => sample.kind === kind && sample.zod === 'takes');
  if (found === undefined) throw new Error(`no sample of ${kind}`);
  return found;
}

/** The whole object of a sample. */
export function objectOf({ kind, spec, metadata }: SampleObject): Record<string, unknown> {
  return { apiVersion: API_VERSION, kind, metadata: { name: 'sample', ...(KINDS[kind].namespaced ? { namespace: 'shop' } : {}), ...metadata }, spec };
}
