import { describe, expect, it } from 'vitest';
import { aFlow } from '../testing/index.ts';
import type { PolicySet, Universe } from './model.ts';
import { aMeshSpec, aPeerAuthentication, aPolicy, theWorkload } from './random.fixture.ts';
import { overlay, replay } from './replay.ts';

const UNIVERSE: Universe = { workloads: [theWorkload()], services: [] };
const EMPTY: PolicySet = { mesh: aMeshSpec(), authorizationPolicies: [], peerAuthentications: [] };
const call = (changes: Parameters<typeof aFlow>[2] = {}) => aFlow('shop/web', 'pay/card', { samplePath: '/items/{id}', ...changes, destination: { port: 80, ...changes.destination } });
const onlyGet = aPolicy('get', { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] });

describe('replay', () => {
  it('counts what would be denied and newly allowed, the most frequent first', () => {
    const flows = [call({ method: 'POST', count: 3 }), call({ method: 'PUT', count: 5 }), call({ count: 7 })];
    const strict = replay(flows, EMPTY, overlay(EMPTY, [onlyGet]), UNIVERSE);
    expect(strict).toMatchObject({ evaluated: 15, unchanged: { allowed: 7, denied: 0 }, wouldAllow: [], wouldAsk: [] });
    expect(strict.wouldDeny.map(({ flow, after }) => [flow.method, flow.count, after.reason])).toEqual([['PUT', 5, 'policy-no-allow'], ['POST', 3, 'policy-no-allow']]);
    expect(replay(flows, overlay(EMPTY, [onlyGet]), EMPTY, UNIVERSE).wouldAllow.map(({ flow }) => flow.count)).toEqual([5, 3]);
  });

  it('refuses plaintext on a strict port', () => {
    const plain = call({ mtls: 'plaintext', source: { principal: null } });
    expect(replay([plain], EMPTY, overlay(EMPTY, [aPeerAuthentication('m', { mtls: { mode: 'STRICT' } })]), UNIVERSE).wouldDeny[0]?.after).toMatchObject({ reason: 'plaintext-refused', policy: 'pay/m' });
  });

  it('says what it could not replay exactly', () => {
    const byHeader = aPolicy('h', { rules: [{ to: [{ operation: { hosts: ['card'] } }], when: [{ key: 'request.headers[x]', values: ['y'] }, { key: 'request.auth.principal', values: ['*'] }] }] });
    expect(replay([call({ samplePath: '/items/7' })], EMPTY, overlay(EMPTY, [byHeader]), UNIVERSE).wouldDeny[0]?.approximate).toEqual(['path', 'host', 'headers', 'token']);
    expect(replay([call({ samplePath: '/items/{id}', method: 'POST' })], EMPTY, overlay(EMPTY, [onlyGet]), UNIVERSE).wouldDeny[0]?.approximate).toEqual([]);
  });

  it('leaves out what has no verdict to replay, and counts it', () => {
    const flows = [call({ verdict: 'denied', reason: 'path-rejected' }), call({ side: 'outbound' }), aFlow('shop/web', 'pay/gone')];
    expect(replay(flows, EMPTY, EMPTY, UNIVERSE)).toMatchObject({ evaluated: 0, skipped: 30 });
  });

  it('replaces an object of the same name, and the Mesh', () => {
    const set = overlay(overlay(EMPTY, [onlyGet]), [aPolicy('get', {}), { apiVersion: 'sallyport.dev/v1alpha1', kind: 'Mesh', metadata: { name: 'default' }, spec: aMeshSpec({ compatibility: 'istio' }) }]);
    expect(set.authorizationPolicies).toHaveLength(1);
    expect(set.authorizationPolicies[0]?.spec.rules).toBeUndefined();
    expect(set.mesh.compatibility).toBe('istio');
  });

  it('holds asking an authorizer apart from being allowed', () => {
    const ask = aPolicy('ask', { action: 'CUSTOM', provider: { name: 'guard' }, rules: [{}] });
    expect(replay([call()], EMPTY, overlay(EMPTY, [ask]), UNIVERSE)).toMatchObject({ wouldDeny: [], wouldAllow: [], wouldAsk: [{ after: { provider: 'guard' } }] });
  });
});
