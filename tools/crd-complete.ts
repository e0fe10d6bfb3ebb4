import type { Kind } from '@sallyport/shared/resources';

const selector = { matchLabels: { app: 'a' } };
const both = (name: string, values: readonly string[]) => ({ [name]: values, [`not${name[0]?.toUpperCase()}${name.slice(1)}`]: values });
const timeoutOf = { timeout: '2s', statusOnError: 503 };

/** Valid specs that, together with the samples beside them, have every field of their kind: a test demands that none is missing. */
export const COMPLETE: readonly { readonly kind: Kind; readonly name: string; readonly spec: object }[] = [
  { kind: 'Mesh', name: 'a mesh with everything', spec: {
    trustDomain: 'td', trustDomainAliases: ['old'], rootNamespace: 'root', compatibility: 'istio', pathNormalization: 'BASE', numTrustedProxies: 1,
    extensionProviders: [
      { name: 'a', envoyExtAuthzHttp: { service: 'authz', port: 80, ...timeoutOf, pathPrefix: '/check', includeRequestHeadersInCheck: ['x-a'], headersToUpstreamOnAllow: ['x-b'], headersToDownstreamOnDeny: ['x-c'] } },
      { name: 'b', envoyExtAuthzGrpc: { service: 'authz', port: 80, ...timeoutOf } },
    ],
    jwks: { allowedHosts: ['keys.test'], refresh: '20m' },
    ca: { vault: { address: 'https://vault.test:8200', mount: 'pki', namespace: 'team', tokenFile: '/run/token', caFile: '/run/ca', timeout: '10s' } },
    egress: { unknownDestinations: 'Refuse' },
    denylist: { serials: ['0a'], spiffeIds: ['spiffe://td/a'] },
    strict: { window: '24h', watch: '10m', minimumCoverage: 0.9 },
  } },
  { kind: 'Mesh', name: 'a mesh under cert-manager', spec: { trustDomain: 'td', ca: { certManager: { namespace: 'a', issuerRef: { name: 'a', kind: 'Issuer', group: 'cert-manager.io' } } } } },
  { kind: 'Workload', name: 'a workload with everything', spec: {
    serviceAccount: 'a', address: '10.0.0.1', otherAddresses: ['fd00::2'], proxy: 'p', hbonePort: 0, inbound: [{ port: 80, protocol: 'http', app: '127.0.0.1:80' }],
    outbound: [{ protocol: 'tcp', listen: 'unix:/run/a', service: 'a', namespace: 'b', port: 80 }], workloadApi: { uids: [1000], gids: [1000] },
  } },
  { kind: 'Workload', name: 'a workload with redirected connections', spec: { serviceAccount: 'a', address: 'fd00::1', proxy: 'p.shop', interception: { inbound: 15006, outbound: 15001, unknownDestinations: 'Refuse' } } },
  { kind: 'Workload', name: 'a workload of others', spec: { serviceAccount: 'a', address: '10.0.0.1', spiffeId: 'spiffe://other.test/a' } },
  { kind: 'Service', name: 'a service with everything', spec: { selector: { app: 'a' }, ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'grpc' }], addresses: ['10.0.0.7'], endpoints: [{ workload: 'a-1', ports: [{ port: 80, targetPort: 8080 }] }] } },
  { kind: 'AuthorizationPolicy', name: 'a policy for labels', spec: {
    selector, enforcement: 'DryRun', rules: [{
      from: [{ source: { ...both('ipBlocks', ['10.0.0.0/8']), ...both('remoteIpBlocks', ['::1']) } }],
      to: [{ operation: { ...both('hosts', ['a']), ...both('ports', ['80']), ...both('methods', ['GET']), ...both('paths', ['/a']) } }],
      when: [{ key: 'request.headers[x-a]', ...both('values', ['1']) }],
    }],
  } },
  { kind: 'AuthorizationPolicy', name: 'a policy for a reference', spec: { targetRefs: [{ group: '', kind: 'Service', name: 'a', namespace: 'shop' }] } },
  { kind: 'RequestAuthentication', name: 'tokens with everything', spec: {
    selector, jwtRules: [{
      issuer: 'i', audiences: ['a'], jwks: '{"keys":[]}', fromHeaders: [{ name: 'x-token', prefix: 'Bearer ' }], fromParams: ['p'], fromCookies: ['c'], outputPayloadToHeader: 'x-p',
      outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }], forwardOriginalToken: true, spaceDelimitedClaims: ['roles'], timeout: '5s',
    }],
  } },
  { kind: 'RequestAuthentication', name: 'tokens for a reference', spec: { targetRefs: [{ group: 'sallyport.dev', kind: 'Service', name: 'a', namespace: 'shop' }] } },
  { kind: 'TrafficPolicy', name: 'calls with everything', spec: {
    targetRefs: [{ group: '', kind: 'Service', name: 'a' }], retry: { attempts: 1, grpcStatuses: ['UNAVAILABLE'] },
    retryConstraint: { budget: { percent: 20, interval: '10s' }, minRetryRate: { count: 10, interval: '1s' } },
    backendRefs: [{ kind: 'Service', name: 'a' }], requestMirror: { backendRef: { kind: 'Service', name: 'b', port: 80 }, percent: 1 }, fault: { abort: { percentage: { value: 1 }, httpStatus: 503 } },
    loadBalancer: { type: 'ConsistentHash', consistentHash: { cookie: 'c' }, localityLbSetting: { enabled: true, overprovisioningFactor: 140 } },
    outlierDetection: { consecutive5xxErrors: 5, interval: '10s', baseEjectionTime: '30s', maxEjectionPercent: 50, minHealthPercent: 0 },
  } },
  { kind: 'ExpectedGraph', name: 'calls expected across namespaces', spec: { edges: [{ from: { namespace: 'a', serviceAccount: 'a' }, to: { namespace: 'b', service: 'b', port: 80 }, description: 'why' }] } },
];
