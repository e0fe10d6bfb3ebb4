import { API_VERSION } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { isListedKind, listedOf, saysOf, scopeOf } from './listedKinds.ts';

const traffic = {
  apiVersion: API_VERSION,
  kind: 'TrafficPolicy',
  metadata: { name: 'careful', namespace: 'shop' },
  spec: { targetRefs: [{ kind: 'Service', name: 'api' }], timeouts: { request: '2s' }, backendRefs: [{ name: 'api', weight: 9 }, { name: 'api-v2', weight: 1 }] },
};
const federation = {
  apiVersion: API_VERSION,
  kind: 'FederatedTrustDomain',
  metadata: { name: 'partner' },
  spec: { trustDomain: 'partner.example', bundleEndpointURL: 'https://partner.example/bundle', bundleEndpointProfile: { type: 'https_web' } },
};

const peer = { apiVersion: API_VERSION, kind: 'PeerAuthentication', metadata: { name: 'strict', namespace: 'pay' }, spec: { mtls: { mode: 'STRICT' }, selector: { matchLabels: { app: 'card' } }, portLevelMtls: { 8080: { mode: 'PERMISSIVE' } } } };
const tokens = { apiVersion: API_VERSION, kind: 'RequestAuthentication', metadata: { name: 'tokens', namespace: 'pay' }, spec: { jwtRules: [{ issuer: 'https://issuer', jwks: '{"keys":[]}' }] } };

describe('listed kinds', () => {
  it('say the mode of peers, and whose tokens are verified', () => {
    const objects = [...listedOf('PeerAuthentication', [peer]).objects, ...listedOf('RequestAuthentication', [tokens]).objects];
    expect(objects.map((object) => [saysOf(object), scopeOf(object)])).toEqual([['mTLS STRICT, port 8080 PERMISSIVE', 'app=card'], ['verifies tokens of https://issuer', 'whole namespace']]);
  });

  it('say in words what they do and on what they bear', () => {
    const [policy] = listedOf('TrafficPolicy', [traffic]).objects;
    expect(policy && saysOf(policy)).toBe('timeout 2s; divided among api (9), api-v2 (1)');
    expect(policy && scopeOf(policy)).toBe('Service api');
    const [domain] = listedOf('FederatedTrustDomain', [federation]).objects;
    expect(domain && saysOf(domain)).toBe('partner.example from https://partner.example/bundle (https_web)');
    expect(domain && scopeOf(domain)).toBe('whole mesh');
  });

  it('count what cannot be read instead of hiding it', () => {
    expect(listedOf('TrafficPolicy', [traffic, federation, { ...traffic, spec: {} }, null])).toMatchObject({ objects: [{ metadata: { name: 'careful' } }], unreadable: 3 });
  });

  it('are those of the tabs alone', () => {
    expect(['TrafficPolicy', 'FederatedTrustDomain', 'Mesh', 'constructor'].map(isListedKind)).toEqual([true, true, false, false]);
  });
});
