import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRule, Facts, normalizePath, type PolicyRequest } from '../../policy/index.ts';
import type { AuthorizationRule, MeshSpec } from '../../resources/index.ts';
import { divide, usualRequest } from '../diff/fields.ts';
import { Terms } from '../diff/terms.ts';
import { aMeshSpec, aPolicy } from '../random.fixture.ts';
import { pathClasses } from './paths.ts';

type Change = (request: PolicyRequest) => PolicyRequest;

/** Divides a field by rules of one clause each, and asks whether a value's class was found. */
function misses(field: string, rules: readonly AuthorizationRule[], values: readonly Change[], mesh: MeshSpec): unknown[] {
  const policy = aPolicy('p', { action: 'DENY', rules });
  const terms = new Terms();
  rules.forEach((rule, index) => terms.read(rule, index, policy, mesh, 'http'));
  const base = usualRequest({ address: '10.0.0.9' }, 'http', 80, mesh);
  const { classes, complete, classOf } = divide(field, terms.all, { base, meshes: [mesh], known: [] });
  expect(complete).toBe(true);
  const tests = rules.map((rule) => compileRule(rule, { mesh, namespace: 'pay', action: 'DENY', protocol: 'http' }));
  const vector = (request: PolicyRequest) => {
    const facts = new Facts();
    return facts.load(request) ? tests.map((test) => (test?.(facts) ? 1 : 0)).join('') : null;
  };
  const known = new Set(classes.map(({ change }) => vector(change(base))));
  return values.map((change) => change(base)).filter((request) => vector(request) !== null && (!known.has(vector(request)) || classOf(request) < 0));
}

const path = (text: string): Change => (request) => ({ ...request, http: { method: 'GET', host: '', headers: {}, path: text as NonNullable<PolicyRequest['http']>['path'] } });
const from = (principal: string | null): Change => (request) => ({ ...request, source: { ...request.source, principal } });
const lists = (...patterns: string[]) => fc.array(fc.constantFrom(...patterns), { minLength: 1, maxLength: 6 });
const meshes = fc.constantFrom('sallyport', 'istio').map((compatibility) => aMeshSpec({ compatibility }));
const RUNS = { numRuns: 300 };

describe('classes: every value that can be seen has a representative that no pattern tells from it', () => {
  it('of paths, with prefixes, suffixes and templates in any mixture', () => {
    const segment = fc.constantFrom('a', 'b', 'ab', 'a.json', 'x', 'json', '', 'x|', 'a|b');
    const modes = fc.constantFrom('NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES').chain((pathNormalization) => fc.constantFrom('sallyport', 'istio').map((compatibility) => aMeshSpec({ pathNormalization, compatibility })));
    const patterns = lists('/a', '/a/b', '/a*', '/a/*', '*b', '*.json', '*/b', '*a/b', '/a/{*}', '/{*}/b', '/{**}/b', '/a/{**}', '/{*}/{*}', '*', '/a//b', '/a/', '/', '/ab*', '/{**}', '/a/{*}/b', '{**}', '*son');
    fc.assert(fc.property(patterns, fc.array(fc.array(segment, { minLength: 1, maxLength: 4 }), { minLength: 30, maxLength: 30 }), modes, (some, seen, mesh) => {
      const texts = [...seen.map((segments) => `/${segments.join('/')}`), '*'].flatMap((text) => {
        const normal = normalizePath(text, mesh);
        return normal.ok ? [normal.path] : [];
      });
      expect(misses('path', some.map((pattern) => ({ to: [{ operation: { paths: [pattern] } }] })), texts.map(path), mesh)).toEqual([]);
    }), RUNS);
  });

  it('of identities, whichever field asks for a part', () => {
    const sources = fc.array(fc.oneof(
      fc.constantFrom('shop.test/ns/a/sa/x', 'shop.test/*', '*/sa/x', 'shop.test/ns/a*', '*x', 'cluster.local/ns/b/sa/x', 'else.test/ns/a/sa/x', '*', 'old.test/x', '*est/ns/a/sa/y').map((value) => ({ principals: [value] })),
      fc.constantFrom('a', 'a*', '*b', '*', 'b').map((value) => ({ namespaces: [value] })),
      fc.constantFrom('a/x', 'x', 'b/y').map((value) => ({ serviceAccounts: [value] })),
      fc.constantFrom('shop.test', 'e*', '*.test', '*', 'else.test').map((value) => ({ trustDomains: [value] })),
    ), { minLength: 1, maxLength: 6 });
    const part = fc.constantFrom('a', 'b', 'ab', 'x', 'y', 'ns', 'sa', 'xx', 'pay');
    const domain = fc.constantFrom('shop.test', 'old.test', 'else.test', 'other', 'e.org');
    const identity = fc.oneof(
      fc.constant(null), domain.map((name) => `spiffe://${name}`),
      fc.tuple(domain, part, part).map(([name, namespace, account]) => `spiffe://${name}/ns/${namespace}/sa/${account}`),
      fc.tuple(domain, fc.array(part, { minLength: 1, maxLength: 6 })).map(([name, parts]) => `spiffe://${name}/${parts.join('/')}`),
    );
    fc.assert(fc.property(sources, fc.array(identity, { minLength: 30, maxLength: 30 }), meshes, (some, seen, mesh) => {
      expect(misses('identity', some.map((source) => ({ from: [{ source }] })), seen.map(from), mesh)).toEqual([]);
    }), RUNS);
  });

  it('of hosts, with and without a port', () => {
    const host = fc.tuple(fc.constantFrom('h', 'H', 'a.h', 'hh', 'q', 'a.hh', 'x.h.y'), fc.constantFrom('', ':80', ':81', ':8080', ':9', ':808')).map((parts) => parts.join(''));
    fc.assert(fc.property(lists('h', 'h:80', 'h*', '*.h', '*:80', '*', '*80', 'h:8*', 'H', 'a.h:8080', '*h'), fc.array(host, { minLength: 30, maxLength: 30 }), meshes, (some, seen, mesh) => {
      const values = seen.map((text): Change => (request) => ({ ...request, http: { ...path('/')(request).http, method: 'GET', headers: {}, path: '/' as NonNullable<PolicyRequest['http']>['path'], host: text } }));
      expect(misses('host', some.map((pattern) => ({ to: [{ operation: { hosts: [pattern] } }] })), values, mesh)).toEqual([]);
    }), RUNS);
  });

  it('of pseudo-headers, which Istio reads from the request line', () => {
    const host = fc.constantFrom('h', 'H', 'H:80', 'x.h', 'Hx', 'q');
    fc.assert(fc.property(lists('h', 'H*', '*:80', '*', '*.h'), fc.array(host, { minLength: 20, maxLength: 20 }), (some, seen) => {
      const values = seen.map((text): Change => (request) => ({ ...request, http: { method: 'GET', headers: {}, path: '/' as NonNullable<PolicyRequest['http']>['path'], host: text } }));
      expect(misses('host', some.map((pattern) => ({ when: [{ key: 'request.headers[:authority]', values: [pattern] }] })), values, aMeshSpec({ compatibility: 'istio' }))).toEqual([]);
    }), RUNS);
  });

  it('of addresses, on either side of every boundary', () => {
    const address = fc.oneof(fc.constantFrom('10.1.2.3', '10.1.2.4', '10.1.2.2', '10.1.3.0', '10.0.255.255', '0.0.0.0', '255.255.255.255', '11.0.0.0', 'fd00::1', 'fe00::', '::1', '::ffff:10.1.2.3', 'fd00:1::'), fc.ipV4());
    fc.assert(fc.property(lists('10.0.0.0/8', '10.1.2.3', '10.1.2.0/24', '10.1.2.0/30', '0.0.0.0/0', 'fd00::/8', '::/0', '::ffff:10.1.0.0/112', 'fd00::1', '255.255.255.0/24'), fc.array(address, { minLength: 30, maxLength: 30 }), (some, seen) => {
      const values = seen.map((ip): Change => (request) => ({ ...request, source: { ...request.source, ip } }));
      expect(misses('source.ip', some.map((block) => ({ from: [{ source: { ipBlocks: [block] } }] })), values, aMeshSpec())).toEqual([]);
    }), RUNS);
  });

  it('of methods, headers of up to two values, and claims', () => {
    const text = fc.constantFrom('A', 'AB', 'B', 'ABB', 'CB', 'C', 'XA');
    const one = fc.array(text, { maxLength: 2 });
    fc.assert(fc.property(lists('A', 'A*', '*B', 'AB', '*', 'X*', '*A'), fc.array(one, { minLength: 20, maxLength: 20 }), (some, seen) => {
      const withHttp = (changes: object): Change => (request) => ({ ...request, http: { method: 'GET', host: '', headers: {}, path: '/' as NonNullable<PolicyRequest['http']>['path'], ...changes } });
      expect(misses('method', some.map((pattern) => ({ to: [{ operation: { methods: [pattern] } }] })), seen.map(([method = 'GET']) => withHttp({ method })), aMeshSpec())).toEqual([]);
      expect(misses('header:x', some.map((pattern) => ({ when: [{ key: 'request.headers[X]', values: [pattern] }] })), seen.map((x) => withHttp({ headers: x.length === 0 ? {} : { x } })), aMeshSpec())).toEqual([]);
      expect(misses('token', some.map((pattern) => ({ when: [{ key: 'request.auth.claims[a][b]', values: [pattern] }] })), seen.map((b): Change => (request) => ({ ...request, token: { claims: { a: { b } }, spaceDelimited: [] } })), aMeshSpec())).toEqual([]);
    }), RUNS);
  });

  it('and every path is its own normal form, named by what it stands for', () => {
    const { values } = pathClasses(['/a*', '/a//b', '/a/{*}', '*.json', '/a/b'], [aMeshSpec()]);
    expect(values.every(({ value }) => normalizePath(value, aMeshSpec()).ok)).toBe(true);
    expect(values.map(({ label }) => label)).toEqual(expect.arrayContaining(['/a*', '/a/b', '*.json', '(any other)']));
    expect(values.map(({ label }) => label)).not.toContain('/a//b');
  });
});
