import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RawRequest } from '../policy/index.ts';
import { explain } from './explain.ts';
import { compileFor, judgeCall, type PolicySet } from './model.ts';
import { aMeshSpec, aPeerAuthentication, aPolicy, peerAuthentications, policies, requests, theWorkload } from './random.fixture.ts';

const workload = theWorkload();
const MESH = aMeshSpec();
const set = (changes: Partial<PolicySet>): PolicySet => ({ mesh: MESH, authorizationPolicies: [], peerAuthentications: [], ...changes });
const call = (changes: { principal?: string | null; port?: number; method?: string; path?: string; tcp?: boolean } = {}): RawRequest => {
  const base = { source: { principal: changes.principal === undefined ? 'spiffe://shop.test/ns/shop/sa/web' : changes.principal, ip: '10.0.0.1' }, destination: { ip: '10.0.0.9', port: changes.port ?? 80 } };
  return changes.tcp ? { protocol: 'tcp', ...base } : { protocol: 'http', ...base, http: { method: changes.method ?? 'GET', host: 'card', target: changes.path ?? '/', headers: {} } };
};
const ask = (changes: Partial<PolicySet>, request: RawRequest) => explain({ policies: set(changes), workload, services: [{ namespace: 'pay', name: 'cards', ports: [], workloads: ['card'] }] }, request);

describe('explain', () => {
  it('names the clause that decided, and what the request had there', () => {
    const allow = aPolicy('callers', { rules: [{ from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }], to: [{ operation: { methods: ['POST'] } }, { operation: { methods: ['GET'], paths: ['/'] } }] }] });
    const yes = ask({ authorizationPolicies: [allow] }, call());
    expect(yes.verdict).toMatchObject({ effect: 'ALLOW', policy: 'pay/callers', rule: 0 });
    expect(yes.decidedBy?.fields).toEqual(['spec.rules[0].from[0].source.principals', 'spec.rules[0].to[1].operation.methods', 'spec.rules[0].to[1].operation.paths']);
    const no = ask({ authorizationPolicies: [allow] }, call({ method: 'PUT' }));
    expect(no.verdict).toMatchObject({ effect: 'DENY', reason: 'policy-no-allow' });
    expect(no.policies[0]?.rules[0]?.decidedBy).toEqual(['spec.rules[0].to[0].operation.methods', 'spec.rules[0].to[1].operation.methods']);
    expect(no.policies[0]?.rules[0]?.clauses).toContainEqual({ field: 'spec.rules[0].to[0].operation.methods', values: ['POST'], matched: false, seen: 'PUT', ignored: false });
  });

  it('says why a policy does not bear on the workload', () => {
    const why = (spec: object) => ask({ authorizationPolicies: [aPolicy('p', { action: 'DENY', rules: [{}], ...spec })] }, call()).policies[0];
    expect(why({ selector: { matchLabels: { app: 'web' } } })).toMatchObject({ applies: false, why: 'selector wants app=web (the workload has card)', rules: [] });
    expect(why({ targetRefs: [{ kind: 'Service', name: 'other' }] })).toMatchObject({ applies: false, why: 'targetRefs name Service other; the workload belongs to cards' });
    expect(why({ targetRefs: [{ kind: 'Service', name: 'cards' }] })).toMatchObject({ applies: true, why: 'targetRefs name Service cards', matched: 0 });
    expect(ask({ authorizationPolicies: [aPolicy('p', {}, 'elsewhere')] }, call()).policies).toEqual([]);
  });

  it('refuses plaintext on a strict port before any policy, and says by which PeerAuthentication', () => {
    const strict = aPeerAuthentication('all', { mtls: { mode: 'STRICT' } });
    const result = ask({ peerAuthentications: [strict] }, call({ principal: null }));
    expect(result.mtls).toMatchObject({ mode: 'STRICT', policy: 'pay/all', refused: true });
    expect(result.verdict).toMatchObject({ effect: 'DENY', reason: 'plaintext-refused', policy: 'pay/all' });
  });

  it('shows that an ALLOW rule with an HTTP field never matches on TCP, and that a DENY loses it', () => {
    const spec = { rules: [{ to: [{ operation: { ports: ['90'], methods: ['GET'] } }] }] };
    const allow = ask({ authorizationPolicies: [aPolicy('a', spec)] }, call({ tcp: true, port: 90 })).policies[0]?.rules[0];
    expect(allow).toMatchObject({ matched: false, neverOnTcp: true, decidedBy: ['spec.rules[0].to[0].operation.methods'] });
    const deny = ask({ authorizationPolicies: [aPolicy('d', { ...spec, action: 'DENY' })] }, call({ tcp: true, port: 90 })).policies[0]?.rules[0];
    expect(deny).toMatchObject({ matched: true, neverOnTcp: false, decidedBy: ['spec.rules[0].to[0].operation.ports'] });
    expect(deny?.clauses[1]).toMatchObject({ ignored: true });
  });

  it('shows the normal form that was matched, and 400 for a path without one', () => {
    expect(ask({}, call({ path: '/a/../b' })).path).toBe('/b');
    expect(ask({}, call({ path: '/%zz' }))).toMatchObject({ path: null, verdict: { status: 400, reason: 'path-rejected' } });
  });

  it('always reaches the verdict of the evaluator, and its clauses add up to it', () => {
    fc.assert(fc.property(policies, peerAuthentications, requests, (authorizationPolicies, peers, request) => {
      const input = set({ authorizationPolicies, peerAuthentications: peers });
      const result = explain({ policies: input, workload, services: [] }, request);
      expect(result.verdict).toEqual(judgeCall(compileFor(input, workload, []), request));
      const hit = (action: string) => result.policies.find((policy) => policy.applies && policy.action === action && policy.matched !== null);
      const { effect, reason, policy, rule } = result.verdict;
      const action = reason === 'policy-deny' ? 'DENY' : effect === 'ALLOW' && policy !== null ? 'ALLOW' : null;
      const told = action === null ? { policy, matched: rule } : hit(action);
      expect({ policy: told?.policy, rule: told?.matched }).toEqual({ policy, rule });
      expect(reason === 'policy-no-allow' && hit('ALLOW') !== undefined).toBe(false);
      const silent = result.policies.flatMap((item) => item.rules).filter((each) => !each.matched && each.clauses.length > 0 && each.decidedBy.length === 0);
      expect(silent).toEqual([]);
    }), { numRuns: 500 });
  });
});
