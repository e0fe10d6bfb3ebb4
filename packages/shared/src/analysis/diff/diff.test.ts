import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalizePath, type RawRequest } from '../../policy/index.ts';
import type { AuthorizationPolicy, MeshSpec } from '../../resources/index.ts';
import { compileFor, judgeCall, type PolicySet, type Universe } from '../model.ts';
import { aMeshSpec, aPeerAuthentication, aPolicy, peerAuthentications, policies, policySpec, requests, theWorkload } from '../random.fixture.ts';
import { diff } from './diff.ts';

const UNIVERSE: Universe = { workloads: [theWorkload()], services: [] };
const set = (authorizationPolicies: AuthorizationPolicy[], changes: Partial<PolicySet> = {}): PolicySet => ({ mesh: aMeshSpec(), authorizationPolicies, peerAuthentications: [], ...changes });
const allow = (rule: object, name = 'p') => aPolicy(name, { rules: [rule] });
const deny = (rule: object, name = 'd') => aPolicy(name, { action: 'DENY', rules: [rule] });
const brief = (before: PolicySet, after: PolicySet, universe = UNIVERSE) => diff(before, after, universe).changes.map((change) => ({
  from: change.before, to: change.after, ports: change.ports, where: change.where.map(({ field, values, except }) => `${field}${except ? ' but' : ''} ${values.join(' | ')}`),
}));

describe('diff', () => {
  it('proves that sets which say the same in other words do not differ', () => {
    const two = set([allow({ from: [{ source: { principals: ['shop.test/ns/a/sa/x'] } }] }), allow({ from: [{ source: { principals: ['shop.test/ns/a/sa/y'] } }] }, 'q')]);
    const one = set([allow({ from: [{ source: { principals: ['shop.test/ns/a/sa/y', 'shop.test/ns/a/sa/x'] } }] })]);
    expect(diff(two, one, UNIVERSE)).toMatchObject({ equal: true, complete: true, changes: [], more: 0 });
    const accounts = set([allow({ from: [{ source: { serviceAccounts: ['a/x'] } }] })]);
    expect(diff(accounts, set([allow({ from: [{ source: { serviceAccounts: ['a/x'], notIpBlocks: ['10.0.0.0/8'] } }, { source: { serviceAccounts: ['a/x'], ipBlocks: ['10.0.0.0/8'] } }] })]), UNIVERSE).equal).toBe(true);
  });

  it('claims no proof when there are too many values for every two of them to be tried', () => {
    const values = Array.from({ length: 30 }, (_, n) => `v${n}`);
    const condition = (key: string) => (reversed: boolean) => set([allow({ when: [{ key, values: reversed ? values.toReversed() : values }] }), allow({ when: [{ key, notValues: ['v0'] }] }, reversed ? 'q' : 'r')]);
    for (const of of [condition('request.headers[x-a]'), condition('request.auth.claims[a]')]) expect(diff(of(false), of(true), UNIVERSE)).toMatchObject({ equal: false, complete: false, changes: [] });
  });

  it('finds what is easily overlooked: a suffix also ends a longer identity', () => {
    const accounts = set([allow({ from: [{ source: { serviceAccounts: ['a/x'] } }] })]);
    const [change] = diff(accounts, set([allow({ from: [{ source: { principals: ['*/ns/a/sa/x'] } }] })]), UNIVERSE).changes;
    expect(change).toMatchObject({ before: 'DENY', after: 'ALLOW' });
    expect(change?.witness.request.source.principal).toMatch(/^spiffe:\/\/[^/]+\/.+\/ns\/a\/sa\/x$/);
  });

  it('describes what changes, with a request that shows it', () => {
    const before = set([allow({ from: [{ source: { principals: ['shop.test/ns/a/sa/x'] } }], to: [{ operation: { methods: ['GET'], paths: ['/a*'] } }] })]);
    const after = set([allow({ from: [{ source: { principals: ['shop.test/ns/a/sa/x'] } }], to: [{ operation: { methods: ['GET', 'POST'], paths: ['/a*'] } }] })]);
    const [change, ...others] = diff(before, after, UNIVERSE).changes;
    expect(others).toEqual([]);
    expect(change).toMatchObject({
      before: 'DENY', after: 'ALLOW', ports: [80, 81],
      where: [{ field: 'identity', values: ['shop.test/ns/a/sa/x', 'old.test/ns/a/sa/x'] }, { field: 'path', values: ['/a*'] }, { field: 'method', values: ['POST'] }],
      witness: { request: { source: { principal: 'spiffe://shop.test/ns/a/sa/x' }, http: { method: 'POST', target: '/a' } }, before: { reason: 'policy-no-allow' }, after: { policy: 'pay/p', rule: 0 } },
    });
  });

  it('leaves out what no normal form reaches', () => {
    const after = set([deny({ to: [{ operation: { ports: ['80', '81'], paths: ['/a//b', '/a/./b', '/a/../b', '/%61'] } }] })], { mesh: aMeshSpec() });
    expect(brief(set([]), after).map(({ ports }) => ports)).toEqual([]);
    expect(brief(set([], { mesh: aMeshSpec({ pathNormalization: 'NONE' }) }), { ...after, mesh: aMeshSpec({ pathNormalization: 'NONE' }) })).toHaveLength(1);
  });

  it('sees a DENY that an ALLOW never let through anyway as no change', () => {
    const only = allow({ to: [{ operation: { methods: ['GET'] } }] });
    expect(diff(set([only]), set([only, deny({ to: [{ operation: { ports: ['80', '81'], methods: ['POST'] } }] })]), UNIVERSE).equal).toBe(true);
  });

  it('shows that a DENY with an HTTP field widens on a TCP port', () => {
    const changes = brief(set([]), set([deny({ to: [{ operation: { methods: ['PUT'] } }] })]));
    expect(changes).toEqual([{ from: 'ALLOW', to: 'DENY', ports: [80, 81], where: ['method PUT'] }, { from: 'ALLOW', to: 'DENY', ports: [90], where: [] }]);
  });

  it('keeps an alternative that does not ask for a field when another fails by it', () => {
    const either = deny({ to: [{ operation: { ports: ['80'], methods: ['PUT'] } }, { operation: { ports: ['80'], paths: ['/a'] } }] });
    expect(brief(set([]), set([either])).map(({ where }) => where)).toEqual([['path /a'], ['path but /a', 'method PUT']]);
  });

  it('takes the mTLS mode into account', () => {
    const strict = [aPeerAuthentication('m', { mtls: { mode: 'STRICT' } })];
    expect(brief(set([]), set([], { peerAuthentications: strict }))).toEqual([80, 90].map((port) => ({ from: 'ALLOW', to: 'DENY', ports: port === 80 ? [80, 81] : [90], where: ['identity plaintext (no identity)'] })));
    const disable = [aPeerAuthentication('m', { mtls: { mode: 'DISABLE' } })];
    const any = set([allow({ from: [{ source: { principals: ['*'] } }] })]);
    expect(brief(any, { ...any, peerAuthentications: disable }).every(({ to, where }) => to === 'DENY' && where[0] === 'identity but plaintext (no identity)')).toBe(true);
    expect(diff({ ...any, peerAuthentications: strict }, set([], { peerAuthentications: strict }), UNIVERSE).equal).toBe(true);
  });

  it('holds asking an authorizer to be a verdict of its own', () => {
    const ask = aPolicy('c', { action: 'CUSTOM', provider: { name: 'guard' }, rules: [{ to: [{ operation: { ports: ['80'], paths: ['/admin*'] } }] }] });
    expect(brief(set([]), set([ask]))).toContainEqual({ from: 'ALLOW', to: 'ASK guard', ports: [80], where: ['path /admin*'] });
  });

  it('tells blocks of addresses, headers, tokens and hosts apart', () => {
    const after = (rule: object) => brief(set([]), set([deny({ ...rule, to: [{ operation: { ports: ['80'] } }] })]));
    expect(after({ from: [{ source: { ipBlocks: ['10.1.0.0/16'], notIpBlocks: ['10.1.2.0/24'] } }] })[0]?.where).toEqual(['source.ip 10.1.0.0/16']);
    expect(after({ when: [{ key: 'request.headers[x-env]', values: ['prod'] }] })[0]?.where).toEqual(['header:x-env prod']);
    expect(after({ when: [{ key: 'request.auth.claims[role]', values: ['admin'] }] })[0]?.where).toEqual(['token token with role admin']);
  });

  it('names every workload that is concerned, and counts what it does not list', () => {
    const workloads = ['a', 'b', 'c'].map((name) => theWorkload({ name, labels: { app: name === 'c' ? 'c' : 'ab' }, ports: [{ port: 80, protocol: 'http' }] }));
    const after = set([aPolicy('x', { selector: { matchLabels: { app: 'ab' } }, action: 'DENY', rules: ['GET', 'PUT'].map((method) => ({ to: [{ operation: { methods: [method], paths: [`/${method}`] } }] })) })]);
    const result = diff(set([]), after, { workloads, services: [] }, { limit: 1 });
    expect(result).toMatchObject({ equal: false, more: 1, workloads: { compared: 3, changed: 2 }, complete: true });
    expect(result.changes[0]?.workloads).toEqual(['pay/a', 'pay/b']);
  });

  it('agrees with enumeration: a request differs exactly when it is in what was found', () => {
    fc.assert(fc.property(policies, policies, peerAuthentications, peerAuthentications, fc.constantFrom('sallyport', 'istio'), fc.array(requests, { minLength: 40, maxLength: 40 }), (old, young, oldPeers, youngPeers, compatibility, calls) => {
      const mesh = aMeshSpec({ compatibility });
      const [before, after] = [set(old, { mesh, peerAuthentications: oldPeers }), set([...old.slice(1), ...young], { mesh, peerAuthentications: youngPeers })];
      const [was, will] = [compileFor(before, theWorkload(), []), compileFor(after, theWorkload(), [])];
      const differs = calls.filter((request) => judgeCall(was, request).effect !== judgeCall(will, request).effect);
      const result = diff(before, after, UNIVERSE, { limit: 20 });
      const disabled = [...oldPeers, ...youngPeers].some(({ spec }) => spec.mtls?.mode === 'DISABLE');
      const missed = differs.slice(0, 2).filter((request) => {
        const only = onlyThis(request, mesh, disabled);
        const narrow = (all: PolicySet): PolicySet => ({ ...all, authorizationPolicies: [...all.authorizationPolicies, ...only] });
        return result.equal || diff(narrow(before), narrow(after), UNIVERSE).equal;
      });
      expect(missed).toEqual([]);
    }), { numRuns: 120 });
  });

  it('agrees with enumeration where one policy is all that there is', () => {
    fc.assert(fc.property(policySpec, fc.boolean(), fc.array(requests, { minLength: 40, maxLength: 40 }), (spec, swap, calls) => {
      const one = { before: set([]), after: set([aPolicy('p', { ...spec, selector: { matchLabels: { app: 'card' } } })]) };
      const [before, after] = swap ? [one.after, one.before] : [one.before, one.after];
      const [was, will] = [compileFor(before, theWorkload(), []), compileFor(after, theWorkload(), [])];
      const differs = calls.filter((request) => judgeCall(was, request).effect !== judgeCall(will, request).effect);
      const missed = differs.slice(0, 6).filter((request) => {
        const narrow = (all: PolicySet): PolicySet => ({ ...all, authorizationPolicies: [...all.authorizationPolicies, ...onlyThis(request, aMeshSpec(), false)] });
        return diff(narrow(before), narrow(after), UNIVERSE).equal;
      });
      expect(missed).toEqual([]);
    }), { numRuns: 250 });
  });
});

/** Policies that deny every other request, as far as they can say it. */
function onlyThis({ source, destination, http }: RawRequest, mesh: MeshSpec, disabled: boolean): AuthorizationPolicy[] {
  const others = (rule: object, name: string) => deny({ ...rule, to: [{ operation: { ports: [String(destination.port)], ...('to' in rule ? (rule.to as object) : {}) } }] }, name);
  const path = http === undefined ? null : normalizePath(http.target, mesh);
  return [
    deny({ to: [{ operation: { notPorts: [String(destination.port)] } }] }, 'only-port'),
    // On a DISABLE port everybody is plaintext, so this would deny what is looked for.
    ...(disabled ? [] : [source.principal === null ? deny({ from: [{ source: { principals: ['*'] } }] }, 'only-plaintext') : deny({ from: [{ source: { notPrincipals: [source.principal.replace('spiffe://', '')] } }] }, 'only-principal')]),
    deny({ from: [{ source: { notIpBlocks: [source.ip] } }] }, 'only-ip'),
    deny({ from: [{ source: { notRemoteIpBlocks: [source.remoteIp ?? source.ip] } }] }, 'only-client'),
    ...(http ? [others({ to: { notMethods: [http.method] } }, 'only-method'), others({ to: { notHosts: [http.host] } }, 'only-host')] : []),
    ...(path?.ok ? [others({ to: { notPaths: [path.path] } }, 'only-path')] : []),
  ];
}
