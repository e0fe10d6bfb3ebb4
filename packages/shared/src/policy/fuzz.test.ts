import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorizationPolicy, API_VERSION, InvalidResourceError, type MeshSpec, meshSpec, parseManifest, requestAuthentication } from '../resources/index.ts';
import { anyPolicy } from '../testing/index.ts';
import {
  authenticate, compileAuthentication, compileWorkloadPolicy, decideTarget, normalizePath, type PresentedToken, type RawRequest, type TokenValidity,
} from './index.ts';

const MODES = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const;
const MESHES: readonly MeshSpec[] = (['sallyport', 'istio'] as const).flatMap((compatibility) =>
  MODES.map((pathNormalization) => meshSpec.parse({ trustDomain: 'td', compatibility, pathNormalization })));
const anyMesh = fc.constantFrom(...MESHES);

/** What paths are dodged with, and any text, half of surrogate pairs included. */
const piece = fc.oneof(
  fc.constantFrom('/', '//', '/.', '/..', '/../', '%2e', '%2E%2e', '%2f', '%5C', '\\', '%00', '%', '%2', '%zz', '%25', '%252f', '%c0%ae', ';', '?', '#', 'a', 'A', '{*}', '{**}', '*', ' ', '\t', '\r\n', '\u0000', 'é', '😀', '\ud800'),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const anyTarget = fc.oneof(fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')), fc.array(piece, { maxLength: 12 }).map((parts) => `/${parts.join('')}`));
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), anyTarget, fc.constantFrom('', '__proto__', 'constructor', 'spiffe://', 'spiffe://td', 'spiffe://td/ns/a/sa/b', 'spiffe://td//', '10.0.0.1', '::1', '::ffff:10.0.0.1', '1e9', '[::1]:80', ':80', '-1'));

const anyHeaders = fc.array(fc.tuple(anyText, fc.array(anyText, { maxLength: 3 })), { maxLength: 5 }).map((entries) => Object.fromEntries(entries));
const anyClaims = fc.dictionary(fc.oneof(fc.constantFrom('iss', 'sub', 'aud', 'azp', 'scope', 'g', '__proto__'), fc.string()), fc.jsonValue({ maxDepth: 3 }));

const anyRaw: fc.Arbitrary<RawRequest> = fc
  .record({ principal: fc.option(anyText), ip: anyText, remoteIp: anyText, port: fc.oneof(fc.integer(), fc.constantFrom(Number.NaN, -0, 65_536)), method: anyText, host: anyText, target: anyTarget, headers: anyHeaders, sni: anyText, claims: fc.option(anyClaims), tcp: fc.boolean() })
  .map(({ principal, ip, remoteIp, port, method, host, target, headers, sni, claims, tcp }) => {
    const common = { source: { principal, ip, remoteIp }, destination: { ip, port }, sni, token: claims === null ? null : { claims, spaceDelimited: ['scope'] } };
    return tcp ? { protocol: 'tcp', ...common } : { protocol: 'http', ...common, http: { method, host, target, headers } };
  });

describe('no request throws', () => {
  it('has a path in normal form or a reason', () => {
    fc.assert(fc.property(anyTarget, anyMesh, (target, mesh) => {
      const normal = normalizePath(target, mesh);
      expect(normal.ok ? normal.path : normal.problem).not.toBe('');
    }), { numRuns: 20_000 });
  });

  it('has a path that is its own normal form, but for Envoy’s one pass over broken escapes', () => {
    fc.assert(fc.property(anyTarget, anyMesh, (target, mesh) => {
      const once = normalizePath(target, mesh);
      // Envoy decodes `%%34%31` to `%41` and lets it be; ours refuses an escape that is broken.
      if (!once.ok || (mesh.compatibility === 'istio' && /%(?![0-9A-Fa-f]{2})/.test(target))) return;
      const twice = normalizePath(once.path, mesh);
      expect({ target, path: twice.ok ? twice.path : twice.problem }).toEqual({ target, path: once.path });
    }), { numRuns: 20_000 });
  });

  it('is decided, whatever it holds', () => {
    fc.assert(fc.property(anyMesh, fc.array(anyPolicy, { maxLength: 4 }), fc.array(anyRaw, { minLength: 5, maxLength: 5 }), (mesh, authorizationPolicies, requests) => {
      const compiled = compileWorkloadPolicy({ mesh, workload: { namespace: 'pay', labels: { app: 'pay' } }, authorizationPolicies, peerAuthentications: [] });
      for (const request of requests) expect(['ALLOW', 'DENY', 'ASK']).toContain(decideTarget(compiled, request).decision.effect);
    }), { numRuns: 3_000 });
  });
});

const rules = (mesh: MeshSpec) => compileAuthentication({
  mesh, workload: { namespace: 'pay', labels: {} }, authorizationPolicies: [], peerAuthentications: [],
  requestAuthentications: [requestAuthentication.parse({ apiVersion: API_VERSION, kind: 'RequestAuthentication', metadata: { name: 'r', namespace: 'pay' }, spec: { jwtRules: [{ issuer: 'i' }, { issuer: 'j', audiences: ['a'], fromCookies: ['c'] }] } })],
});
const VALIDITIES: readonly TokenValidity[] = ['valid', 'expired', 'not-yet-valid', 'bad-signature', 'unknown-issuer', 'malformed', 'jwks-unavailable'];
const anyToken: fc.Arbitrary<PresentedToken> = fc.record({
  location: fc.constantFrom({ kind: 'header' as const, name: 'authorization', prefix: 'Bearer ' }, { kind: 'cookie' as const, name: 'c', prefix: '' }, { kind: 'param' as const, name: '__proto__', prefix: '' }),
  claims: anyClaims.chain((claims) => fc.constantFrom(claims, { ...claims, iss: 'i' }, { ...claims, iss: 'j', aud: 'a' })),
  validity: fc.constantFrom(...VALIDITIES).map((validity) => () => validity),
});

it('judges any tokens', () => {
  fc.assert(fc.property(anyMesh, fc.array(anyToken, { maxLength: 4 }), (mesh, tokens) => {
    expect(authenticate(rules(mesh), tokens, mesh.compatibility).ok).toBeTypeOf('boolean');
  }), { numRuns: 5_000 });
});

/** Reads a manifest, which may fail in the one way that is documented. */
function readable(text: string): boolean {
  try {
    parseManifest(text);
    return true;
  } catch (error) {
    if (error instanceof InvalidResourceError) return error.problems.length > 0 && error.problems.every(({ message }) => message !== '');
    throw error;
  }
}

describe('no manifest throws but with its problems', () => {
  const scrap = fc.constantFrom('apiVersion: sallyport.dev/v1alpha1\n', 'kind: AuthorizationPolicy\n', 'kind: __proto__\n', 'metadata: {name: a, namespace: b}\n', 'spec: ', '{', '}', '[', ']', '- ', '&a ', '*a', '<<: *a\n', '? ', ': ', '!!binary ', '!!js/function ', '|\n', '>\n', '---\n', '%YAML 1.1\n', '"', "'", '\\u0000', '\n', '  ', 'null', '~', '1e999', '.inf', '__proto__: 1\n', '\ufeff', '\u2028', '#', '\ud800');

  it('of scraps of YAML', () => {
    fc.assert(fc.property(fc.array(fc.oneof(scrap, fc.string({ unit: 'binary', maxLength: 6 })), { maxLength: 25 }), (parts) => { expect(readable(parts.join(''))).toBeTypeOf('boolean'); }), { numRuns: 10_000 });
  });

  it('of JSON of any shape below the envelope', () => {
    const kind = fc.constantFrom('AuthorizationPolicy', 'Mesh', 'PeerAuthentication', 'RequestAuthentication', 'TrafficPolicy', 'Workload', 'Service', 'ExpectedGraph', 'constructor');
    const envelope = fc.record({ apiVersion: fc.constant(API_VERSION), kind, metadata: fc.oneof(fc.constant({ name: 'a', namespace: 'b' }), fc.jsonValue()), spec: fc.jsonValue({ maxDepth: 5 }) });
    fc.assert(fc.property(envelope, (object) => { expect(readable(JSON.stringify(object))).toBeTypeOf('boolean'); }), { numRuns: 5_000 });
  });

  it.each([
    ['nested lists', '['.repeat(50_000)], ['nested maps', '{a: '.repeat(50_000)], ['nested items', '- '.repeat(50_000)], ['nested JSON', `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`],
    ['a chain of aliases', `a0: &a0 1\n${Array.from({ length: 500 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`).join('\n')}`], ['an alias of itself', 'a: &a [*a]'],
    ['many anchors', Array.from({ length: 5_000 }, (_, n) => `- &a${n} x`).join('\n')], ['many documents', '---\n'.repeat(1_500)], ['a long name', `a: ${'x'.repeat(500_000)}`],
  ])('of %s', (_name, text) => {
    expect(readable(text)).toBe(true);
  });
});

describe('long input', () => {
  const paths = ['{*}', '/{**}', '/{*}/{*}/{*}/{*}', '/a/{**}/b', '*aaa', '/a*'];
  const policy = authorizationPolicy.parse({ apiVersion: API_VERSION, kind: 'AuthorizationPolicy', metadata: { name: 'p', namespace: 'pay' }, spec: { rules: paths.map((path) => ({ to: [{ operation: { paths: [path] } }] })) } });

  it.each(['/..', '/../', '/./', '%2e%2e/', '/%2e%2E', '%2f', '%5c..', '\\..', '//', '/a/..', '%', '%%', '%25', '{**}/', '/a', 'a', 'é', ';/'])('of many "%s" is decided in every mode', (unit) => {
    const target = `/${unit.repeat(Math.ceil(65_536 / unit.length))}`;
    for (const mesh of MESHES) {
      const compiled = compileWorkloadPolicy({ mesh, workload: { namespace: 'pay', labels: {} }, authorizationPolicies: [policy], peerAuthentications: [] });
      const headers = Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`x-${n}`, [target]]));
      const { decision } = decideTarget(compiled, { protocol: 'http', source: { principal: null, ip: target }, destination: { ip: target, port: 1 }, http: { method: 'GET', host: target, target, headers } });
      expect(['ALLOW', 'DENY']).toContain(decision.effect);
    }
  });
});
