import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Flow } from '../../mesh/index.ts';
import { aFlow } from '../../testing/index.ts';
import { parseManifest } from '../../resources/index.ts';
import { compileFor, judgeCall, type PolicySet, type Universe } from '../model.ts';
import { aMeshSpec, aPolicy, theWorkload } from '../random.fixture.ts';
import { flowRequest, overlay } from '../replay.ts';
import { pathPattern } from './rules.ts';
import { suggest } from './suggest.ts';

const workload = theWorkload();
const UNIVERSE: Universe = { workloads: [workload], services: [] };
const set = (changes: Partial<PolicySet> = {}): PolicySet => ({ mesh: aMeshSpec(), authorizationPolicies: [], peerAuthentications: [], ...changes });
const call = (changes: Parameters<typeof aFlow>[2] = {}) => aFlow('shop/web', 'pay/card', { ...changes, destination: { port: 80, service: null, ...changes.destination } });
const ask = (flows: Flow[], changes: Partial<Parameters<typeof suggest>[0]> = {}) => suggest({ policies: set(), universe: UNIVERSE, flows, ...changes });

describe('suggest', () => {
  it('writes one policy a workload: identities with their own methods, ports and templates', () => {
    const flows = [
      call(), call({ method: 'POST', path: '/charge', samplePath: '/charge' }), call({ method: 'GET', path: '/charge', samplePath: '/charge' }),
      call({ source: { principal: 'spiffe://shop.test/ns/shop/sa/cart' } }),
      call({ protocol: 'tcp', method: null, path: null, samplePath: null, destination: { port: 90 } }),
    ];
    const { policies, patch, cutOff, warnings, evidence } = ask(flows);
    expect(policies).toHaveLength(1);
    expect(policies[0]).toMatchObject({ metadata: { name: 'observed-card', namespace: 'pay' }, spec: { selector: { matchLabels: { app: 'card' } }, action: 'ALLOW' } });
    expect(policies[0]?.spec.rules).toEqual([
      { from: [{ source: { principals: ['shop.test/ns/shop/sa/cart'] } }], to: [{ operation: { ports: ['80'], methods: ['GET'], paths: ['/items/{*}'] } }] },
      { from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }], to: [{ operation: { ports: ['80'], methods: ['GET'], paths: ['/items/{*}'] } }, { operation: { ports: ['80'], methods: ['GET', 'POST'], paths: ['/charge'] } }] },
      { from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }], to: [{ operation: { ports: ['90'] } }] },
    ]);
    expect(parseManifest(patch)).toEqual(policies);
    expect([cutOff, warnings]).toEqual([[], []]);
    expect(evidence[0]).toMatchObject({ policy: 'pay/observed-card', path: '/items/{id}', samplePath: '/items/7', requests: 10 });
  });

  it('does not admit what was denied, unless asked', () => {
    const denied = call({ verdict: 'denied', reason: 'policy-no-allow', method: 'DELETE' });
    expect(ask([call(), denied]).warnings).toMatchObject([{ code: 'denied-now', subject: 'pay/card' }]);
    expect(JSON.stringify(ask([call(), denied]).policies)).not.toContain('DELETE');
    expect(JSON.stringify(ask([call(), denied], { admitDenied: true }).policies)).toContain('DELETE');
    const policies = set({ authorizationPolicies: [aPolicy('d', { action: 'DENY', rules: [{ to: [{ operation: { methods: ['GET'] } }] }] })] });
    expect(ask([call()], { policies })).toMatchObject({ policies: [], warnings: [{ code: 'denied-now' }] });
  });

  it('lists a plaintext caller as cut off with a remedy, or admits its address when asked', () => {
    const plain = call({ mtls: 'plaintext', source: { principal: null, ip: '10.0.9.9' } });
    const { policies, cutOff } = ask([call(), plain]);
    expect(JSON.stringify(policies)).not.toContain('10.0.9.9');
    expect(cutOff).toMatchObject([{ workload: 'pay/card', principal: null, ip: '10.0.9.9', requests: 10 }]);
    expect(cutOff[0]?.remedy).toContain('--admit-plaintext');
    expect(ask([plain])).toMatchObject({ policies: [], cutOff: [], warnings: [{ code: 'plaintext-only', subject: 'pay/card' }] });
    expect(ask([call(), plain], { admitPlaintext: true })).toMatchObject({ cutOff: [], policies: [{ spec: { rules: [{}, { from: [{ source: { ipBlocks: ['10.0.9.9/32'] } }] }] } }] });
  });

  it('falls back to the paths that were seen where a template would open what is denied now', () => {
    const policies = set({ authorizationPolicies: [aPolicy('only-seven', { rules: [{ to: [{ operation: { paths: ['/items/7'] } }] }] })] });
    const { policies: found, warnings } = ask([call()], { policies });
    expect(found[0]?.spec.rules).toEqual([{ from: [{ source: { principals: ['shop.test/ns/shop/sa/web'] } }], to: [{ operation: { ports: ['80'], methods: ['GET'], paths: ['/items/7'] } }] }]);
    expect(warnings).toMatchObject([{ code: 'also-allows' }]);
  });

  it('suggests nothing where flows tell less than the present policies ask', () => {
    const policies = set({ authorizationPolicies: [aPolicy('from-there', { rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }] }] })] });
    expect(ask([call()], { policies })).toMatchObject({ policies: [], warnings: [{ code: 'would-widen' }] });
  });

  it('refuses to select more than it means, and says what no pattern can say', () => {
    const wider = theWorkload({ name: 'card-canary', labels: { app: 'card', track: 'canary' } });
    expect(ask([call()], { universe: { workloads: [workload, wider], services: [] } }).warnings.map(({ code }) => code)).toEqual(['not-selectable', 'no-calls']);
    const service = { namespace: 'pay', name: 'cards', ports: [], workloads: ['card'] };
    expect(ask([call()], { universe: { workloads: [workload, wider], services: [service] } }).policies[0]?.spec.targetRefs).toMatchObject([{ kind: 'Service', name: 'cards' }]);
    expect(ask([call(), call({ path: '/a*', samplePath: '/a*' })])).toMatchObject({ warnings: [{ code: 'inexpressible-path' }], cutOff: [{ path: '/a*' }] });
  });

  it('never admits what was not observed, and always what was', () => {
    const principal = fc.constantFrom('spiffe://shop.test/ns/a/sa/x', 'spiffe://shop.test/ns/b/sa/x', 'spiffe://other.test/ns/a/sa/x', null);
    const path = fc.constantFrom(['/a', '/a'], ['/a/{id}', '/a/7'], ['/a/{id}', '/a/8'], ['/a/b', '/a/b'], ['/{id}/b', '/9/b'], ['/a/', '/a/'], ['/', '/']);
    const flow = fc.oneof(
      { weight: 3, arbitrary: fc.tuple(principal, fc.constantFrom(80, 81), fc.constantFrom('GET', 'POST'), path).map(([principal, port, method, [path = '/', samplePath = '/']]) => call({ source: { principal, ip: '10.0.7.7' }, mtls: principal === null ? 'plaintext' : 'mutual', method, path, samplePath, destination: { port } })) },
      { weight: 1, arbitrary: principal.map((principal) => call({ source: { principal, ip: '10.0.7.7' }, mtls: principal === null ? 'plaintext' : 'mutual', protocol: 'tcp', method: null, path: null, samplePath: null, destination: { port: 90 } })) },
    );
    const shape = (each: Flow) => JSON.stringify([each.source.principal, each.destination.port, each.method, each.path && pathPattern(each.path)]);
    fc.assert(fc.property(fc.array(flow, { minLength: 1, maxLength: 8 }), fc.array(flow, { maxLength: 40 }), (seen, others) => {
      const { policies, cutOff } = ask(seen);
      fc.pre(policies.length > 0);
      const compiled = compileFor(overlay(set(), policies), workload, []);
      const allowed = (each: Flow) => judgeCall(compiled, flowRequest(each, workload)).effect === 'ALLOW';
      const observed = seen.filter((each) => each.source.principal !== null);
      // A template that was seen also stands for literal paths of its form.
      const admits = (each: Flow) => observed.some((one) => shape(one) === shape(each) || (one.path !== null && one.path.includes('{id}') && shape({ ...each, path: one.path }) === shape(one) && new RegExp(`^${one.path.replaceAll('{id}', '[^/]+')}$`).test(each.samplePath ?? '')));
      expect(others.filter((each) => allowed(each) && !admits(each))).toEqual([]);
      expect(observed.filter((each) => !allowed(each))).toEqual([]);
      expect(cutOff.every((each) => each.principal === null)).toBe(true);
    }), { numRuns: 300 });
  });
});
