import { describe, expect, it } from 'vitest';
import type { AuthorizationPolicy } from '../../resources/index.ts';
import { aWorkload } from '../../testing/index.ts';
import type { PolicySet, Universe } from '../model.ts';
import { aMeshSpec, aPeerAuthentication, aPolicy } from '../random.fixture.ts';
import { lint, LINTS } from './lint.ts';

const universe: Universe = {
  workloads: [aWorkload('pay/card', { ports: [{ port: 80, protocol: 'http' }, { port: 90, protocol: 'tcp' }] }), aWorkload('shop/web')],
  services: [],
};
const STRICT = [aPeerAuthentication('strict', { mtls: { mode: 'STRICT' } })];
const set = (policies: AuthorizationPolicy[], changes: Partial<PolicySet> = {}): PolicySet => ({ mesh: aMeshSpec(), authorizationPolicies: policies, peerAuthentications: STRICT, ...changes });
const codes = (policies: AuthorizationPolicy[], changes: Partial<PolicySet> = {}) => lint(set(policies, changes), universe).map(({ code, policy, field }) => `${code} ${policy} ${field}`);
const web = { source: { principals: ['shop.test/ns/shop/sa/web'] } };
const http = (operation: object) => ({ operation: { ports: ['80'], ...operation } });
const ISTIO = { mesh: aMeshSpec({ compatibility: 'istio' }) };

describe('lint', () => {
  it('finds nothing in a policy that is as it should be', () => {
    expect(codes([aPolicy('ok', { rules: [{ from: [web], to: [http({ methods: ['GET'], paths: ['/a/{*}'] })] }] })])).toEqual([]);
  });

  it.each([
    ['selects-nothing p spec.selector', { selector: { matchLabels: { app: 'gone' } }, rules: [{ from: [web] }] }],
    ['dead-value p spec.rules[0].to[0].operation.paths', { rules: [{ from: [web], to: [http({ paths: ['/a//b', '/ok'] })] }] }],
    ['refused p spec.rules[0].to[0].operation.methods[0]', { rules: [{ from: [web], to: [http({ methods: ['get', 'PUT'] })] }] }],
    ['unknown-identity p spec.rules[0].from[0].source.principals', { rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/sa/gone'] } }] }] }],
    ['unknown-identity p spec.rules[0].from[0].source.serviceAccounts', { rules: [{ from: [{ source: { serviceAccounts: ['web'] } }] }] }],
    ['unknown-identity p spec.rules[0].from[0].source.namespaces', { rules: [{ from: [{ source: { namespaces: ['shopp'] } }] }] }],
    ['http-on-tcp p spec.rules[0].to[0].operation.methods', { rules: [{ from: [web], to: [{ operation: { methods: ['GET'] } }] }] }],
    ['http-on-tcp p spec.rules[0].to[0].operation.paths', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/x'] } }] }] }],
    ['negative-deny p spec.rules[0].from[0].source.notNamespaces', { action: 'DENY', rules: [{ from: [{ source: { notNamespaces: ['shop'] } }] }] }],
    ['allows-all p spec.rules[0]', { rules: [{}] }],
    ['any-identity p spec.rules[0].from[0].source.principals', { rules: [{ from: [{ source: { principals: ['*'] } }] }] }],
    ['any-source p spec.rules[0]', { rules: [{ to: [http({ methods: ['GET'] })] }] }],
    ['denies-all p spec.rules', {}],
    ['duplicate-rule p spec.rules[1]', { rules: [{ from: [web] }, { from: [web] }] }],
  ])('%s', (expected, spec) => {
    expect(codes([aPolicy('p', spec)])).toContain(expected.replace(' p ', ' pay/p '));
  });

  it('tells the idiom that refuses plaintext from a surprise', () => {
    expect(codes([aPolicy('p', { action: 'DENY', rules: [{ from: [{ source: { notPrincipals: ['*'] } }] }] })], { peerAuthentications: [] })).toEqual([]);
  });

  it('finds a DENY by name that plaintext evades, and only where plaintext is taken', () => {
    const deny = aPolicy('p', { action: 'DENY', rules: [{ from: [web] }] });
    expect(codes([deny], { peerAuthentications: [] })).toEqual(['evaded-by-plaintext pay/p spec.rules[0].from[0].source.principals']);
    expect(codes([deny])).toEqual([]);
  });

  it('knows what only Istio does', () => {
    const policies = [aPolicy('p', { action: 'DENY', rules: [{ from: [{ source: { principals: ['spiffe://shop.test/ns/shop/sa/web'] } }], to: [http({ hosts: ['h', 'g', 'g:*'] })] }] }), aPolicy('q', { rules: [{ from: [{ source: { notNamespaces: ['shop'] } }] }] })];
    const found = lint(set(policies, ISTIO), universe);
    expect(found.filter(({ code }) => code !== 'no-effect' && code !== 'second-lock').map(({ code, policy }) => `${code} ${policy}`)).toEqual(['scheme-in-principal pay/p', 'negative-allow pay/q', 'host-without-port pay/p']);
    expect(found.find(({ code }) => code === 'host-without-port')?.message).toContain('h does not match h:8080');
    expect(codes([aPolicy('p', { rules: [{ from: [web], to: [http({ methods: ['get', 'PUT'] })] }] })], ISTIO)).toContain('dead-value pay/p spec.rules[0].to[0].operation.methods');
    expect(codes(policies).filter((text) => /scheme|host|negative-allow/.test(text))).toEqual([]);
  });

  it('proves that a rule has no effect, and says why', () => {
    const why = (policies: AuthorizationPolicy[]) => lint(set(policies), universe).filter(({ code }) => code === 'no-effect').map(({ policy, field, message }) => [policy, field, message.split(',')[0]]);
    const contradiction = { from: [{ source: { principals: ['shop.test/ns/shop/sa/web'], namespaces: ['pay'] } }] };
    expect(why([aPolicy('p', { rules: [{ from: [web] }, contradiction] })])).toEqual([['pay/p', 'spec.rules[1]', 'its conditions contradict each other']]);
    const narrow = { from: [web], to: [http({ methods: ['GET'] })] };
    expect(why([aPolicy('p', { rules: [{ from: [web] }, narrow] })])).toEqual([['pay/p', 'spec.rules[1]', 'other rules decide all of its calls the same way']]);
    expect(why([aPolicy('p', { rules: [narrow] }), aPolicy('d', { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['shop'] } }], to: [http({})] }] })])).toEqual([['pay/p', 'spec.rules[0]', 'every call that it allows is denied by a DENY policy']]);
    expect(why([aPolicy('p', { rules: [{ from: [web] }] })])).toEqual([]);
  });

  it('says when it did not look', () => {
    const rules = Array.from({ length: 200 }, (_, index) => ({ from: [web], to: [http({ paths: [`/p${index}`] })] }));
    expect(codes([aPolicy('p', { rules })])).toEqual(['not-compared pay/p spec.rules']);
  });

  it('has a code of its own for each check, and a remedy for each finding', () => {
    expect(new Set(LINTS.map(({ code }) => code)).size).toBe(LINTS.length);
    expect(lint(set([aPolicy('p', { rules: [{}, {}] })], ISTIO), universe).every(({ remedy, message }) => remedy !== '' && message !== '')).toBe(true);
  });
});
