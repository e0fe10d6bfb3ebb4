import { describe, expect, it } from 'vitest';
import { type AuthorizationPolicy, authorizationPolicy, mesh as meshSchema, type MeshSpec, type PeerAuthentication, peerAuthentication } from '../resources/index.ts';
import { compileWorkloadPolicy, decideTarget, effectiveMtls, normalizePath, type RawRequest } from './index.ts';

const API = 'sallyport.dev/v1alpha1';
const MESH: MeshSpec = meshSchema.parse({ apiVersion: API, kind: 'Mesh', metadata: { name: 'default' }, spec: { trustDomain: 'shop.test', trustDomainAliases: ['old.test'] } }).spec;

let serial = 0;
function policy(spec: object, metadata: object = {}): AuthorizationPolicy {
  serial += 1;
  return authorizationPolicy.parse({ apiVersion: API, kind: 'AuthorizationPolicy', metadata: { name: `p${serial}`, namespace: 'pay', ...metadata }, spec });
}
function peer(spec: object, metadata: object = {}): PeerAuthentication {
  serial += 1;
  return peerAuthentication.parse({ apiVersion: API, kind: 'PeerAuthentication', metadata: { name: `m${serial}`, namespace: 'pay', ...metadata }, spec });
}
const from = (namespace: string, account: string) => `spiffe://shop.test/ns/${namespace}/sa/${account}`;

interface Call {
  principal?: string | null;
  ip?: string;
  method?: string;
  path?: string;
  host?: string;
  headers?: Record<string, string[]>;
  tcp?: boolean;
  port?: number;
}
function request(call: Call): RawRequest {
  const common = {
    source: { principal: call.principal === undefined ? from('shop', 'checkout') : call.principal, ip: call.ip ?? '10.0.0.7' },
    destination: { ip: '10.0.0.1', port: call.port ?? 8080 },
  };
  if (call.tcp) return { protocol: 'tcp', ...common };
  return { protocol: 'http', ...common, http: { method: call.method ?? 'GET', host: call.host ?? 'pay', target: call.path ?? '/', headers: call.headers ?? {} } };
}
function verdict(policies: AuthorizationPolicy[], call: Call, labels: Record<string, string> = { app: 'pay' }) {
  return decideTarget(compileWorkloadPolicy({ mesh: MESH, workload: { namespace: 'pay', labels }, authorizationPolicies: policies, peerAuthentications: [] }), request(call)).decision;
}
const allow = (source: object) => policy({ rules: [{ from: [{ source }] }] });

describe('order of evaluation', () => {
  it('allows when no ALLOW policy selects the workload', () => {
    expect(verdict([], {}).effect).toBe('ALLOW');
    expect(verdict([policy({ selector: { matchLabels: { app: 'other' } } })], {}).effect).toBe('ALLOW');
    expect(verdict([policy({}, { namespace: 'elsewhere' })], {}).effect).toBe('ALLOW');
  });

  it('denies all by an ALLOW policy without rules, allows all by an empty rule', () => {
    expect(verdict([policy({})], {})).toMatchObject({ effect: 'DENY', status: 403, reason: 'policy-no-allow' });
    expect(verdict([policy({ rules: [] })], {}).effect).toBe('DENY');
    expect(verdict([policy({ rules: [{}] })], {}).effect).toBe('ALLOW');
  });

  it('lets DENY beat ALLOW, and names policy and rule', () => {
    const deny = policy({ action: 'DENY', rules: [{ to: [{ operation: { methods: ['PUT'] } }] }, { to: [{ operation: { paths: ['/admin*'] } }] }] });
    const result = verdict([policy({ rules: [{}] }), deny], { path: '/admin/x' });
    expect(result).toMatchObject({ effect: 'DENY', reason: 'policy-deny', policy: `pay/${deny.metadata.name}`, rule: 1 });
  });

  it('takes policies of the root namespace, with their selector', () => {
    const root = policy({ action: 'DENY', rules: [{}], selector: { matchLabels: { app: 'pay' } } }, { namespace: 'sallyport-system' });
    expect(verdict([root], {}).effect).toBe('DENY');
    expect(verdict([root], {}, { app: 'x' }).effect).toBe('ALLOW');
  });

  it('reports DryRun and AUDIT without deciding by them; a DryRun ALLOW does not turn on default deny', () => {
    const dry = policy({ enforcement: 'DryRun', action: 'DENY', rules: [{}] });
    const audit = policy({ action: 'AUDIT', rules: [{}] });
    const dryAllow = policy({ enforcement: 'DryRun', rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] });
    const result = verdict([dry, audit, dryAllow], {});
    expect(result.effect).toBe('ALLOW');
    expect(result.shadow.map((match) => match.action)).toEqual(['DENY', 'AUDIT']);
  });
});

describe('rule structure', () => {
  it('ANDs from, to and when, ORs entries, ANDs fields of one entry', () => {
    const rule = policy({
      rules: [
        {
          from: [{ source: { namespaces: ['shop'] } }, { source: { namespaces: ['ops'] } }],
          to: [{ operation: { methods: ['POST'], paths: ['/charge'] } }, { operation: { paths: ['/health'] } }],
          when: [{ key: 'request.headers[x-env]', values: ['prod'] }],
        },
      ],
    });
    const headers = { 'x-env': ['prod'] };
    expect(verdict([rule], { method: 'POST', path: '/charge', headers }).effect).toBe('ALLOW');
    expect(verdict([rule], { method: 'GET', path: '/charge', headers }).effect).toBe('DENY');
    expect(verdict([rule], { method: 'GET', path: '/health', headers }).effect).toBe('ALLOW');
    expect(verdict([rule], { method: 'POST', path: '/charge' }).effect).toBe('DENY');
    expect(verdict([rule], { principal: from('rogue', 'x'), path: '/health', headers }).effect).toBe('DENY');
    expect(verdict([rule], { principal: from('ops', 'x'), path: '/health', headers }).effect).toBe('ALLOW');
  });
});

describe('identity', () => {
  it.each([
    ['exact', { principals: ['shop.test/ns/shop/sa/checkout'] }, 'ALLOW'],
    ['with scheme', { principals: [from('shop', 'checkout')] }, 'ALLOW'],
    ['cluster.local stands for our trust domain', { principals: ['cluster.local/ns/shop/sa/checkout'] }, 'ALLOW'],
    ['an alias stands for our trust domain', { principals: ['old.test/ns/shop/sa/checkout'] }, 'ALLOW'],
    ['another trust domain does not', { principals: ['evil.test/ns/shop/sa/checkout'] }, 'DENY'],
    ['prefix', { principals: ['shop.test/ns/shop/*'] }, 'ALLOW'],
    ['suffix', { principals: ['*/sa/checkout'] }, 'ALLOW'],
    ['any authenticated', { principals: ['*'] }, 'ALLOW'],
    ['service account of the policy namespace', { serviceAccounts: ['checkout'] }, 'DENY'],
    ['service account with namespace', { serviceAccounts: ['shop/checkout'] }, 'ALLOW'],
    ['namespace is whole', { namespaces: ['sho'] }, 'DENY'],
    ['negative', { notPrincipals: ['*/sa/checkout'] }, 'DENY'],
    ['metacharacters are plain (CVE-2026-39350)', { principals: ['shop.test/ns/shop/sa/check.ut'] }, 'DENY'],
  ])('%s', (_name, source, effect) => {
    expect(verdict([allow(source)], {}).effect).toBe(effect);
  });

  it('never matches a plaintext peer positively, and never admits it by a negative', () => {
    for (const source of [{ principals: ['*'] }, { namespaces: ['*'] }, { notPrincipals: ['*/sa/rogue'] }, { notNamespaces: ['rogue'] }, { notServiceAccounts: ['a/b'] }]) {
      expect(verdict([allow(source)], { principal: null }).effect).toBe('DENY');
    }
  });

  it('keeps Istio’s idiom: DENY notPrincipals * refuses plaintext', () => {
    const deny = policy({ action: 'DENY', rules: [{ from: [{ source: { notPrincipals: ['*'] } }] }] });
    expect(verdict([deny], { principal: null }).effect).toBe('DENY');
    expect(verdict([deny], {}).effect).toBe('ALLOW');
  });

  it('matches addresses by CIDR, IPv6 and IPv4-mapped', () => {
    expect(verdict([allow({ ipBlocks: ['10.0.0.0/24'] })], { principal: null, ip: '10.0.0.9' }).effect).toBe('ALLOW');
    expect(verdict([allow({ ipBlocks: ['10.0.0.0/24'] })], { principal: null, ip: '::ffff:10.0.0.9' }).effect).toBe('ALLOW');
    expect(verdict([allow({ ipBlocks: ['10.0.0.0/24'] })], { principal: null, ip: '10.0.1.9' }).effect).toBe('DENY');
    expect(verdict([allow({ ipBlocks: ['fd00::/8'] })], { principal: null, ip: 'fd00::1' }).effect).toBe('ALLOW');
    expect(verdict([allow({ notIpBlocks: ['10.0.0.9'] })], { principal: null, ip: '10.0.0.9' }).effect).toBe('DENY');
  });
});

describe('operation', () => {
  const to = (operation: object) => policy({ rules: [{ to: [{ operation }] }] });
  it.each([
    [{ paths: ['/a*'] }, { path: '/abc' }, 'ALLOW'],
    [{ paths: ['*.html'] }, { path: '/x/y.html' }, 'ALLOW'],
    [{ paths: ['/a'] }, { path: '/A' }, 'DENY'],
    [{ paths: ['/a'] }, { path: '/a?x=1' }, 'ALLOW'],
    [{ paths: ['/x/{*}/y'] }, { path: '/x/1/y' }, 'ALLOW'],
    [{ paths: ['/x/{*}/y'] }, { path: '/x/1/2/y' }, 'DENY'],
    [{ paths: ['/x/{**}'] }, { path: '/x/' }, 'ALLOW'],
    [{ paths: ['/x/{**}'] }, { path: '/x' }, 'DENY'],
    [{ paths: ['/x/{**}/z'] }, { path: '/x/a/b/z' }, 'ALLOW'],
    [{ notPaths: ['/admin*'] }, { path: '//admin' }, 'DENY'],
    [{ hosts: ['pay.example'] }, { host: 'PAY.example:8080' }, 'ALLOW'],
    [{ hosts: ['*.example'] }, { host: 'pay.example' }, 'ALLOW'],
    [{ ports: ['8080'] }, { port: 8081 }, 'DENY'],
    [{ methods: ['GET'] }, { method: 'get' }, 'DENY'],
  ])('%j on %j: %s', (operation, call, effect) => {
    expect(verdict([to(operation)], call).effect).toBe(effect);
  });

  it('cannot be dodged on a DENY by port in the host, repeated header or odd spelling of the path', () => {
    const deny = (spec: object) => policy({ action: 'DENY', rules: [spec] });
    expect(verdict([deny({ to: [{ operation: { hosts: ['pay'] } }] })], { host: 'pay:99' }).effect).toBe('DENY');
    const header = deny({ when: [{ key: 'request.headers[X-Role]', values: ['admin'] }] });
    expect(verdict([header], { headers: { 'x-role': ['user', 'admin'] } }).effect).toBe('DENY');
    const admin = deny({ to: [{ operation: { paths: ['/admin'] } }] });
    for (const path of ['/./admin', '/x/../admin', '//admin', '/%61dmin', '/x%2f..%2fadmin', '/\\admin', '/admin?a=/b']) {
      expect(verdict([admin], { path }).effect).toBe('DENY');
    }
  });

  it('fails closed on TCP: an ALLOW with an HTTP field never matches, a DENY with one loses the field', () => {
    expect(verdict([to({ methods: ['GET'] })], { tcp: true }).effect).toBe('DENY');
    const deny = policy({ action: 'DENY', rules: [{ to: [{ operation: { ports: ['8080'], methods: ['PUT'] } }] }] });
    expect(verdict([deny], { tcp: true }).effect).toBe('DENY');
    expect(verdict([deny], { tcp: true, port: 1 }).effect).toBe('ALLOW');
  });
});

describe('normalizePath', () => {
  it.each([
    ['/a/../b', '/b'],
    ['/a//b', '/a/b'],
    ['/a%2Fb', '/a/b'],
    ['/a%252fb', '/a%252fb'],
    ['/%7Euser', '/~user'],
    ['/a%3bb', '/a%3Bb'],
    ['/a/.', '/a/'],
    ['/', '/'],
  ])('%s becomes %s', (raw, expected) => {
    expect(normalizePath(raw, { ...MESH, pathNormalization: 'DECODE_AND_MERGE_SLASHES' })).toMatchObject({ ok: true, path: expected });
  });

  it.each(['/a#b', '/a%00', '/%zz', 'a', '', '/..', '/a/../../b', '/a b'])('refuses %j', (raw) => {
    expect(normalizePath(raw, { ...MESH, pathNormalization: 'DECODE_AND_MERGE_SLASHES' }).ok).toBe(false);
    expect(verdict([], { path: raw })).toMatchObject({ effect: 'DENY', status: 400, reason: 'path-rejected' });
  });

  it('does less in the weaker modes', () => {
    expect(normalizePath('/a//b%2fc', { ...MESH, pathNormalization: 'BASE' })).toMatchObject({ path: '/a//b%2Fc' });
    expect(normalizePath('/a//b', { ...MESH, pathNormalization: 'MERGE_SLASHES' })).toMatchObject({ path: '/a/b' });
    expect(normalizePath('/a//../b', { ...MESH, pathNormalization: 'NONE' })).toMatchObject({ path: '/a//../b' });
  });

  it.each([
    ['/a/./b/../c//d%2e', '/a/c/d.'],
    ['/x/%2e%2e/y', '/y'],
    ['/a%2f%2fb', '/a/b'],
    ['/\\a', '/a'],
  ])('is stable: %s gives %s, and that gives itself', (raw, expected) => {
    expect(normalizePath(raw, { ...MESH, pathNormalization: 'DECODE_AND_MERGE_SLASHES' })).toMatchObject({ path: expected });
    expect(normalizePath(expected, { ...MESH, pathNormalization: 'DECODE_AND_MERGE_SLASHES' })).toMatchObject({ path: expected });
  });
});

describe('effectiveMtls', () => {
  const mode = (peers: PeerAuthentication[], port = 8080) =>
    effectiveMtls(compileWorkloadPolicy({ mesh: MESH, workload: { namespace: 'pay', labels: { app: 'pay' } }, authorizationPolicies: [], peerAuthentications: peers }), port);
  const select = { selector: { matchLabels: { app: 'pay' } } };

  it('is PERMISSIVE when nothing is said, and prefers workload over namespace over mesh', () => {
    expect(mode([])).toEqual({ mode: 'PERMISSIVE', policy: null, scope: 'default' });
    const mesh = peer({ mtls: { mode: 'STRICT' } }, { namespace: 'sallyport-system' });
    const namespace = peer({ mtls: { mode: 'DISABLE' } });
    const workload = peer({ ...select, mtls: { mode: 'PERMISSIVE' } });
    expect(mode([mesh])).toMatchObject({ mode: 'STRICT', scope: 'mesh' });
    expect(mode([mesh, namespace])).toMatchObject({ mode: 'DISABLE', scope: 'namespace' });
    expect(mode([mesh, namespace, workload])).toMatchObject({ mode: 'PERMISSIVE', scope: 'workload' });
  });

  it('lets UNSET inherit, the oldest win, and a port override with a selector', () => {
    const old = peer({ mtls: { mode: 'STRICT' } }, { creationTimestamp: '2026-01-01T00:00:00.000Z' });
    const young = peer({ mtls: { mode: 'DISABLE' } }, { creationTimestamp: '2026-02-01T00:00:00.000Z' });
    expect(mode([young, old]).mode).toBe('STRICT');
    expect(mode([old, peer({ ...select, mtls: { mode: 'UNSET' } })])).toMatchObject({ mode: 'STRICT', scope: 'namespace' });
    const byPort = peer({ ...select, mtls: { mode: 'STRICT' }, portLevelMtls: { '9090': { mode: 'DISABLE' } } });
    expect(mode([byPort], 9090)).toMatchObject({ mode: 'DISABLE', scope: 'port' });
    expect(mode([byPort]).mode).toBe('STRICT');
    expect(mode([peer({ mtls: { mode: 'STRICT' }, portLevelMtls: { '9090': { mode: 'DISABLE' } } })], 9090).mode).toBe('STRICT');
  });

  it('ignores a selector in the root namespace', () => {
    expect(mode([peer({ ...select, mtls: { mode: 'DISABLE' } }, { namespace: 'sallyport-system' })]).mode).toBe('PERMISSIVE');
  });
});
