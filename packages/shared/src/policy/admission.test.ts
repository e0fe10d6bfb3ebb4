import { describe, expect, it } from 'vitest';
import { API_VERSION, KINDS, meshSpec } from '../resources/index.ts';
import { admissionProblems, type AdmissionContext } from './index.ts';

const context = (compatibility: 'sallyport' | 'istio' = 'sallyport'): AdmissionContext => ({
  mesh: meshSpec.parse({ trustDomain: 'td', compatibility, extensionProviders: [{ name: 'gate', envoyExtAuthzGrpc: { service: 'gate', port: 9000 } }] }),
  serviceExists: (namespace, name) => namespace === 'shop' && name === 'api',
});
type Kind = 'AuthorizationPolicy' | 'PeerAuthentication' | 'RequestAuthentication';
const object = (kind: Kind, spec: object, namespace = 'shop') => KINDS[kind].schema.parse({ apiVersion: API_VERSION, kind, metadata: { name: 'x', namespace }, spec });
const problems = (kind: Kind, spec: object, namespace?: string) => admissionProblems(object(kind, spec, namespace), context()).map(({ field, message }) => `${field}: ${message}`);
const source = (fields: object) => ({ rules: [{ from: [{ source: fields }] }] });
const operation = (fields: object) => ({ rules: [{ to: [{ operation: fields }] }] });

describe('admission', () => {
  it.each<[string, Kind, object, RegExp]>([
    ['a star in the middle', 'AuthorizationPolicy', source({ principals: ['*a*'] }), /^spec\.rules\[0\]\.from\[0\]\.source\.principals\[0\]: a \* may stand only first or last/],
    ['a namespace with a star inside', 'AuthorizationPolicy', source({ notNamespaces: ['a', 'a*b'] }), /notNamespaces\[1\]: a \*/],
    ['a principal that no peer has', 'AuthorizationPolicy', source({ principals: ['td/ns/a/sa/'] }), /is no SPIFFE ID/],
    ['a lower-case method', 'AuthorizationPolicy', operation({ methods: ['get'] }), /methods\[0\]: must be in upper case/],
    ['a path without a slash', 'AuthorizationPolicy', operation({ notPaths: ['admin'] }), /notPaths\[0\]: must begin with a slash/],
    ['a principal in a condition', 'AuthorizationPolicy', { rules: [{ when: [{ key: 'source.principal', notValues: ['a b'] }] }] }, /when\[0\]\.notValues\[0\]: is no SPIFFE ID/],
    ['a pseudo-header', 'AuthorizationPolicy', { rules: [{ when: [{ key: 'request.headers[:method]', values: ['GET'] }] }] }, /when\[0\]\.key: is no header of a request/],
    ['a provider that is not there', 'AuthorizationPolicy', { action: 'CUSTOM', provider: { name: 'other' }, rules: [{}] }, /spec\.provider\.name: the Mesh has no extension provider other/],
    ['a Service that is not there', 'AuthorizationPolicy', { targetRefs: [{ kind: 'Service', name: 'web' }] }, /spec\.targetRefs\[0\]\.name: there is no Service shop\/web; apply it first/],
    ['a Service of another namespace', 'RequestAuthentication', { targetRefs: [{ kind: 'Service', name: 'api', namespace: 'pay' }] }, /namespace: must be the policy’s own/],
    ['a kind that no proxy serves', 'RequestAuthentication', { targetRefs: [{ kind: 'Gateway', name: 'api' }] }, /kind: no proxy of ours serves a Gateway/],
    ['a secret among public keys', 'RequestAuthentication', { jwtRules: [{ issuer: 'i', jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}' }] }, /jwks: holds a private or shared key/],
    ['a claim as the length of a body', 'RequestAuthentication', { jwtRules: [{ issuer: 'i', outputPayloadToHeader: 'x-payload', outputClaimToHeaders: [{ header: 'Content-Length', claim: 'n' }] }] }, /outputClaimToHeaders\[0\]\.header: Content-Length is a header that only the proxy sets/],
    ['ports without a selector', 'PeerAuthentication', { portLevelMtls: { '80': { mode: 'STRICT' } } }, /portLevelMtls: has no effect without a selector/],
  ])('refuses %s, and Istio’s reading does not', (_, kind, spec, message) => {
    expect(problems(kind, spec)).toEqual([expect.stringMatching(message)]);
    expect(admissionProblems(object(kind, spec), context('istio'))).toEqual([]);
  });

  it('refuses a selector of PeerAuthentication in the root namespace', () => {
    expect(problems('PeerAuthentication', { selector: { matchLabels: { app: 'x' } } }, 'sallyport-system')).toEqual([expect.stringMatching(/^spec\.selector: selects nothing in the root namespace/)]);
    expect(problems('PeerAuthentication', { selector: {} }, 'sallyport-system')).toEqual([]);
  });

  it('takes what is as it should be', () => {
    expect(problems('AuthorizationPolicy', { ...source({ principals: ['*', 'td/*', '*/sa/x', 'spiffe://td/ns/a/sa/x', 'cluster.local/ns/a/sa/x'], namespaces: ['a*', '*b'] }), targetRefs: [{ kind: 'Service', name: 'api' }] })).toEqual([]);
    expect(problems('AuthorizationPolicy', operation({ paths: ['/a*', '*.html', '*', '/a/{*}/b/{**}'], methods: ['GET', 'P*'], hosts: ['*.x', 'h'] }))).toEqual([]);
    expect(problems('AuthorizationPolicy', { rules: [{ when: [{ key: 'request.headers[accept]', values: ['*/*'] }, { key: 'request.auth.claims[a]', values: ['x*y'] }] }] })).toEqual([]);
    expect(problems('AuthorizationPolicy', { action: 'CUSTOM', provider: { name: 'gate' }, rules: [{}] })).toEqual([]);
  });
});
