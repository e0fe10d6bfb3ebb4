import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aFlow, aWorkload } from '../../testing/index.ts';
import { compileFor, judgeCall, type PolicySet, type Universe } from '../model.ts';
import { aMeshSpec, aPeerAuthentication, aPolicy, peerAuthentications, policies, requests, theWorkload } from '../random.fixture.ts';
import { ReachIndex } from './index-of-reach.ts';
import { blastRadius, overPermission, reach } from './reach.ts';

const id = (name: string) => `spiffe://shop.test/ns/shop/sa/${name}`;
const only = (target: string, ...callers: string[]) => aPolicy(`to-${target}`, { selector: { matchLabels: { app: target } }, rules: [{ from: [{ source: { principals: callers.map((name) => `shop.test/ns/shop/sa/${name}`) } }] }] }, 'shop');
const universe: Universe = { workloads: ['web', 'cart', 'card', 'db'].map((name) => aWorkload(`shop/${name}`)), services: [] };
const set = (changes: Partial<PolicySet> = {}): PolicySet => ({ mesh: aMeshSpec(), authorizationPolicies: [], peerAuthentications: [], ...changes });
/** web calls cart, cart calls card, card calls db; nobody calls web. */
const CHAIN = set({ authorizationPolicies: [aPolicy('to-web', { selector: { matchLabels: { app: 'web' } } }, 'shop'), only('cart', 'web'), only('card', 'cart'), only('db', 'card')] });

describe('reach', () => {
  it('says who reaches a workload, by which rule, or because nothing restricts', () => {
    const [cart] = reach(CHAIN, universe, universe.workloads.filter(({ name }) => name === 'cart'));
    expect(cart).toMatchObject({ workload: 'shop/cart', complete: true, by: [{ principal: id('web'), workloads: ['shop/web'], ways: [{ port: 8080, how: { policy: 'shop/to-cart', rule: 0 }, everything: true }] }, { principal: 'spiffe://old.test/ns/shop/sa/web' }] });
    const [open] = reach(set({ authorizationPolicies: [] }), universe);
    expect(open?.by.map(({ label }) => label)).toEqual(['anyone in the network (plaintext)', id('web'), id('cart'), id('card'), id('db'), 'any other identity of shop.test']);
    expect(open?.by[0]?.ways[0]).toMatchObject({ how: null, mode: 'PERMISSIVE', explanation: 'no ALLOW policy selects this workload' });
    const strict = reach(set({ authorizationPolicies: [], peerAuthentications: [aPeerAuthentication('m', { mtls: { mode: 'STRICT' } }, 'shop')] }), universe)[0];
    expect(strict?.by[0]?.principal).toBe(id('web'));
  });

  it('tells some requests from all', () => {
    const some = aPolicy('get', { rules: [{ from: [{ source: { principals: ['*'] } }], to: [{ operation: { methods: ['GET'], paths: ['/a*'] } }] }] }, 'shop');
    const [web] = reach(set({ authorizationPolicies: [some] }), universe);
    expect(web?.by[0]?.ways[0]).toMatchObject({ everything: false, witness: { http: { method: 'GET', target: '/a' } } });
  });

  it('never reaches a workload that listens on nothing, and guesses ports where nobody’s are known', () => {
    const client = aWorkload('shop/client', { ports: [] });
    expect(reach(set(), { ...universe, workloads: [...universe.workloads, client] }, [client])).toMatchObject([{ by: [] }]);
    expect(reach(set(), { ...universe, workloads: [client] })[0]?.by.length).toBeGreaterThan(0);
  });

  it('follows an attacker from workload to workload, in plaintext too', () => {
    const radius = blastRadius(CHAIN, universe, id('web'));
    expect(radius.hops.map(({ hop, workload, from, as }) => [hop, workload, from, as])).toEqual([[1, 'shop/cart', id('web'), id('web')], [2, 'shop/card', 'shop/cart', id('cart')], [3, 'shop/db', 'shop/card', id('card')]]);
    expect(radius).toMatchObject({ reached: 3, workloads: 4, complete: true });
    expect(blastRadius(CHAIN, universe, null).hops).toEqual([]);
    const open = { ...CHAIN, authorizationPolicies: CHAIN.authorizationPolicies.slice(0, 3) };
    expect(blastRadius(open, universe, null).hops.map(({ workload, as }) => [workload, as])).toEqual([['shop/db', null]]);
    const legacy = { ...universe, workloads: [...universe.workloads, aWorkload('shop/legacy', { proxy: null })] };
    expect(blastRadius(CHAIN, legacy, null).hops).toMatchObject([{ workload: 'shop/legacy', identity: null, ways: [{ mode: null }] }]);
  });

  it('names what is allowed by identity and was never used', () => {
    const policies = CHAIN;
    const { unusedIdentities, unusedRules } = overPermission(policies, universe, [aFlow('shop/web', 'shop/cart')]);
    expect(unusedIdentities.filter(({ identity }) => identity.includes('shop.test'))).toEqual([
      { identity: id('cart'), workload: 'shop/card', port: 8080, policy: 'shop/to-card', rule: 0 },
      { identity: id('card'), workload: 'shop/db', port: 8080, policy: 'shop/to-db', rule: 0 },
    ]);
    expect(unusedRules).toEqual([{ policy: 'shop/to-card', rule: 0 }, { policy: 'shop/to-db', rule: 0 }]);
    expect(overPermission({ ...policies, authorizationPolicies: [] }, universe, []).unusedIdentities).toEqual([]);
  });

  it('agrees with the evaluator: whoever gets a request through is said to reach', () => {
    const one: Universe = { workloads: [theWorkload()], services: [] };
    fc.assert(fc.property(policies, peerAuthentications, fc.array(requests, { minLength: 20, maxLength: 20 }), (authorizationPolicies, peers, calls) => {
      const input = set({ authorizationPolicies, peerAuthentications: peers });
      const index = new ReachIndex(input, one);
      const compiled = compileFor(input, theWorkload(), []);
      const missed = calls.filter((request) => judgeCall(compiled, request).effect !== 'DENY' && !index.ways(theWorkload(), request.source.principal).some(({ port }) => port === request.destination.port));
      expect(missed).toEqual([]);
    }), { numRuns: 150 });
  });
});
