import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type AuthorizationPolicy, type MeshSpec } from '../resources/index.ts';
import { anyMesh, anyPolicy, anyRequest } from '../testing/index.ts';
import { Facts } from './facts.ts';
import { ruleKeys } from './keys.ts';
import { compileRule, type RuleContext } from './rule.ts';
import { type IndexedRule, RuleTable } from './table.ts';
import type { PolicyRequest } from './types.ts';

function indexed(policies: readonly AuthorizationPolicy[], mesh: MeshSpec, protocol: PolicyRequest['protocol']): IndexedRule[] {
  const context: RuleContext = { mesh, namespace: 'pay', action: 'ALLOW', protocol };
  return policies.flatMap(({ spec }) => spec.rules ?? []).flatMap((rule, ordinal) => {
    const test = compileRule(rule, context);
    return test === null ? [] : [{ ordinal, test, ...ruleKeys(rule, context) }];
  });
}

type Rule = NonNullable<AuthorizationPolicy['spec']['rules']>[number];
const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq = 4) => fc.option(arbitrary, { nil: undefined, freq });
const plain = <T extends object>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const PORTS = ['80', '443', '81'];
const operation = fc.record({
  methods: maybe(fc.subarray(['GET', 'POST'], { minLength: 1 })),
  paths: maybe(fc.subarray(['/a', '/a/b', '/a/b/c', '/a/*', '/a/b/*', '/a/{*}', '/a/{*}/c', '*.html', '/x.html'], { minLength: 1, maxLength: 2 })),
  hosts: maybe(fc.subarray(['h', 'H:80', 'x.y'], { minLength: 1 }), 1),
  ports: fc.oneof(fc.subarray(PORTS, { minLength: 1 }), fc.constant(PORTS)),
});
/** Rules with few distinct values, so that buckets are full, are divided again, and overlap. */
const crowded: fc.Arbitrary<Rule[]> = fc.array(
  fc.record({
    from: maybe(fc.constantFrom('td/ns/a/sa/x', 'td/ns/a/sa/y', 'td/ns/b/sa/x').map((principal) => [{ source: { principals: [principal] } }])),
    to: fc.array(operation.map((each) => ({ operation: each })), { minLength: 1, maxLength: 2 }),
  }).map(plain),
  { minLength: 20, maxLength: 60 },
);
/** Rules that are alike but for one thing. */
const alike: fc.Arbitrary<Rule[]> = fc.oneof(
  fc.array(fc.constantFrom('1', '2', '3').map((value) => ({ when: [{ key: 'request.headers[X-A]', values: [value] }] })), { maxLength: 12 }),
  fc.array(fc.constantFrom('h', 'H', 'h:80', 'x.y', 'a.h').map((host) => ({ to: [{ operation: { hosts: [host] } }] })), { maxLength: 12 }),
  fc.array(fc.tuple(fc.constantFrom('GET', 'POST'), fc.constantFrom('/a', '/a/b')).map(([method, path]) => ({
    to: [{ operation: { methods: [method], paths: [path] } }, { operation: { methods: ['PUT'], paths: ['/a/c'] } }],
  })), { maxLength: 30 }),
);

it('finds the rule that a walk over all of them finds first', () => {
  fc.assert(
    fc.property(anyMesh, fc.array(anyPolicy, { minLength: 5, maxLength: 15 }), crowded, alike, fc.array(anyRequest, { minLength: 20, maxLength: 20 }), (mesh, [first, ...others], crowd, one, requests) => {
      if (first === undefined) return;
      const many = [{ ...first, spec: { ...first.spec, rules: crowd } }, first, { ...first, spec: { ...first.spec, rules: one } }, ...others];
      for (const policies of [many, many.slice(2, 3), many.slice(0, 1)]) expect(disagreements(mesh, policies, requests)).toEqual([]);
    }),
    { numRuns: 250 },
  );
});

/** Requests for which the table does not find what a walk over all rules finds. */
function disagreements(mesh: MeshSpec, policies: readonly AuthorizationPolicy[], requests: readonly PolicyRequest[]): object[] {
  const rules = { http: indexed(policies, mesh, 'http'), tcp: indexed(policies, mesh, 'tcp') };
  const tables = { http: new RuleTable(rules.http), tcp: new RuleTable(rules.tcp) };
  const facts = new Facts();
  return requests.flatMap((request): object[] => {
    if (!facts.load(request)) return [{ request, problem: 'the peer was not read' }];
    const expected = rules[request.protocol].find((rule) => rule.test(facts))?.ordinal ?? -1;
    const found = tables[request.protocol].first(facts);
    return found === expected ? [] : [{ request, found, expected }];
  });
}
