import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { anyMesh, anyPolicy, anyRequest, referenceDecide } from '../testing/index.ts';
import { API_VERSION, authorizationPolicy, meshSpec } from '../resources/index.ts';
import { compileWorkloadPolicy, decide, type NormalPath, type PolicyRequest } from './index.ts';

/** Names are unique, as in any store: a verdict names its policy. */
const policySets = fc.array(anyPolicy, { minLength: 1, maxLength: 6 }).map((policies) => policies.map((policy, index) => ({ ...policy, metadata: { ...policy.metadata, name: `p${index}` } })));
const WORKLOAD = { namespace: 'pay', labels: { app: 'pay' } };

it('decides as the direct reading of the specification does, on random policies and requests', () => {
  fc.assert(
    fc.property(anyMesh, policySets, fc.array(anyRequest, { minLength: 20, maxLength: 20 }), (mesh, policies, requests) => {
      const compiled = compileWorkloadPolicy({ mesh, workload: WORKLOAD, authorizationPolicies: policies, peerAuthentications: [] });
      for (const request of requests) {
        const { effect, shadow } = decide(compiled, request);
        const names = shadow.map(({ policy }) => policy.split('/')[1]);
        expect({ effect, shadow: names, request }).toEqual({ ...referenceDecide({ mesh, ...WORKLOAD, policies }, request), request });
      }
    }),
    { numRuns: 1500 },
  );
});

it('names the first rule that matches, in the order of policies and rules', () => {
  fc.assert(
    fc.property(anyMesh, policySets, anyRequest, (mesh, policies, request) => {
      const decided = decide(compileWorkloadPolicy({ mesh, workload: WORKLOAD, authorizationPolicies: policies, peerAuthentications: [] }), request);
      if (decided.policy === null || decided.rule === null) return;
      const rank = policies.findIndex(({ metadata }) => `${metadata.namespace}/${metadata.name}` === decided.policy);
      const policy = policies[rank];
      expect(policy).toBeDefined();
      // Without that rule and all after it, the same policy set no longer finds a match of that action.
      const action = policy?.spec.action;
      const earlier = policies.slice(0, rank + 1).flatMap((each) => {
        if (each.spec.action !== action || each.spec.enforcement === 'DryRun') return [];
        const rules = each === policy ? (each.spec.rules ?? []).slice(0, decided.rule ?? 0) : (each.spec.rules ?? []);
        return rules.length === 0 ? [] : [{ ...each, spec: { ...each.spec, rules } }];
      });
      if (earlier.length === 0) return;
      const again = decide(compileWorkloadPolicy({ mesh, workload: WORKLOAD, authorizationPolicies: earlier, peerAuthentications: [] }), request);
      expect(again.rule).toBeNull();
    }),
    { numRuns: 1500 },
  );
});

it('finds each of many rules by whatever they differ in, on HTTP and on TCP', () => {
  const rules = Array.from({ length: 40 }, (_, n) => [
    { to: [{ operation: { paths: [`/p${n}`] } }], from: [{ source: { principals: ['td/ns/a/sa/x'] } }] },
    { from: [{ source: { principals: [`td/ns/a/sa/n${n}`, `td/ns/b/sa/n${n}`] } }], to: [{ operation: { paths: ['/same'] } }] },
    { from: [{ source: { serviceAccounts: [`c/n${n}`] } }] },
    { from: [{ source: { namespaces: [`ns${n}`] } }], to: [{ operation: { ports: [String(1000 + n)], methods: ['GET'] } }] },
  ]).flat();
  const policies = (['ALLOW', 'DENY'] as const).map((action) =>
    authorizationPolicy.parse({ apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name: 'many', namespace: 'pay' }, spec: { action, rules } }));
  const principals = [null, 'a/sa/x', 'a/sa/n7', 'b/sa/n39', 'c/sa/n0', 'ns12/sa/q', 'b/sa/x'].map((tail) => (tail === null ? null : `spiffe://td/ns/${tail}`)).concat('spiffe://td/z/ns/ns12/sa/q');
  const meshes = (['sallyport', 'istio'] as const).map((compatibility) => meshSpec.parse({ trustDomain: 'td', compatibility }));
  for (const policy of policies) for (const mesh of meshes) {
    const compiled = compileWorkloadPolicy({ mesh, workload: WORKLOAD, authorizationPolicies: [policy], peerAuthentications: [] });
    for (const principal of principals) for (const port of [80, 1012]) for (const path of ['/p3', '/same', '/none', null]) {
      const common = { source: { principal, ip: '10.0.0.1' }, destination: { ip: '10.0.0.9', port } };
      const request: PolicyRequest = path === null ? { protocol: 'tcp', ...common } : { protocol: 'http', ...common, http: { method: 'GET', host: 'h', path: path as NormalPath, headers: {} } };
      expect({ effect: decide(compiled, request).effect, request }).toEqual({ effect: referenceDecide({ mesh, ...WORKLOAD, policies: [policy] }, request).effect, request });
    }
  }
});
