import type { Caller } from '@sallyport/shared/api';
import { compileWorkloadPolicy, decideTarget } from '@sallyport/shared/policy';
import { KINDS, parseManifest, type AuthorizationPolicy } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { callKey, groupCallers, nameProblem, policyYaml, suggestedCalls, suggestedName } from './draft.ts';

const WEB = 'spiffe://shop.local/ns/front/sa/web';
const ROGUE = 'spiffe://shop.local/ns/front/sa/rogue';
const LEGACY = '192.0.2.7';

function aCaller(changes: Partial<Caller>): Caller {
  return {
    principal: WEB, ip: '127.0.0.2', workload: 'front/web', port: 8080, protocol: 'http', method: 'GET', path: '/orders/{id}', mtls: 'mutual', requests: 10, denied: 0,
    lastSeen: '2026-01-15T12:00:00.000Z', declared: true, ...changes,
  };
}

const READ = aCaller({});
const LIST = aCaller({ path: '/orders' });
const WRITE = aCaller({ method: 'POST', path: '/orders' });
const SNOOP = aCaller({ principal: ROGUE, declared: false });
const TCP = aCaller({ protocol: 'tcp', method: null, path: null, port: 6379 });
const PLAIN = aCaller({ principal: null, ip: LEGACY, workload: 'old/billing', mtls: 'plaintext' });
const CALLERS = [READ, LIST, WRITE, SNOOP, TCP, PLAIN];

function written(calls: readonly Caller[], addresses: readonly string[] = [], callers: readonly Caller[] = CALLERS): AuthorizationPolicy {
  const yaml = policyYaml({
    name: 'allow-orders',
    destination: { namespace: 'shop', selector: { app: 'orders' }, callers: [...callers] },
    calls: new Set(calls.map(callKey)),
    addresses: new Set(addresses),
  });
  const [policy, ...more] = parseManifest(yaml);
  expect(more).toEqual([]);
  if (policy?.kind !== 'AuthorizationPolicy') throw new Error('not a policy');
  return policy;
}

/** What the proxies' own evaluator says to a call under the policy. */
function verdict(policy: AuthorizationPolicy, call: Caller, path = call.path): 'ALLOW' | 'DENY' | 'ASK' {
  const mesh = KINDS.Mesh.schema.parse({ apiVersion: policy.apiVersion, kind: 'Mesh', metadata: { name: 'mesh' }, spec: { trustDomain: 'shop.local' } }).spec;
  const compiled = compileWorkloadPolicy({ mesh, workload: { namespace: 'shop', labels: { app: 'orders' } }, authorizationPolicies: [policy], peerAuthentications: [] });
  const http = call.protocol === 'http' ? { http: { method: call.method ?? '', host: 'orders.shop', target: path ?? '', headers: {} } } : {};
  return decideTarget(compiled, { protocol: call.protocol, source: { principal: call.principal, ip: call.ip }, destination: { ip: '127.0.0.9', port: call.port }, ...http }).decision.effect;
}

describe('policyYaml, judged by the evaluator of the proxies', () => {
  it('lets in each chosen call and nothing else that was seen', () => {
    const policy = written([READ, WRITE, TCP]);
    expect(verdict(policy, READ, '/orders/42')).toBe('ALLOW');
    expect(verdict(policy, WRITE)).toBe('ALLOW');
    expect(verdict(policy, TCP)).toBe('ALLOW');
    expect(verdict(policy, LIST)).toBe('DENY');
    expect(verdict(policy, SNOOP, '/orders/42')).toBe('DENY');
    expect(verdict(policy, PLAIN, '/orders/42')).toBe('DENY');
  });

  it('keeps methods to the paths they were seen on', () => {
    const policy = written([READ, WRITE]);
    expect(verdict(policy, { ...READ, method: 'POST' }, '/orders/42')).toBe('DENY');
    expect(verdict(policy, { ...WRITE, method: 'GET' })).toBe('DENY');
    expect(verdict(policy, READ, '/orders/42/items')).toBe('DENY');
    expect(verdict(policy, { ...READ, port: 9090 }, '/orders/42')).toBe('DENY');
  });

  it('does not let a plaintext caller in by ticking its calls, only by its address', () => {
    expect(verdict(written([PLAIN, READ]), PLAIN, '/orders/42')).toBe('DENY');
    const policy = written([], [LEGACY]);
    expect(verdict(policy, PLAIN, '/orders/42')).toBe('ALLOW');
    expect(verdict(policy, { ...PLAIN, ip: '192.0.2.8' }, '/orders/42')).toBe('DENY');
    expect(verdict(policy, READ, '/orders/42')).toBe('DENY');
  });

  it('denies all when nothing is chosen', () => {
    const policy = written([]);
    expect(policy.spec.rules).toBeUndefined();
    for (const call of CALLERS) expect(verdict(policy, call, '/orders/42')).toBe('DENY');
  });

  it('shares a rule between sources that may do the same, and keeps IPv6 addresses whole', () => {
    const policy = written([READ, SNOOP]);
    expect(policy.spec.rules).toHaveLength(1);
    expect(policy.spec.rules?.[0]?.from?.[0]?.source.principals).toEqual(['shop.local/ns/front/sa/rogue', 'shop.local/ns/front/sa/web']);
    const six = aCaller({ principal: null, ip: '2001:db8::7', mtls: 'plaintext' });
    expect(written([], [six.ip], [six]).spec.rules?.[0]?.from?.[0]?.source.ipBlocks).toEqual(['2001:db8::7/128']);
  });
});

describe('what is suggested', () => {
  it('is declared calls with an identity that got through', () => {
    const refused = aCaller({ path: '/admin', denied: 10 });
    expect(suggestedCalls([...CALLERS, refused])).toEqual([READ, LIST, WRITE, TCP].map(callKey));
  });

  it('is a name that a resource can have', () => {
    expect(nameProblem(suggestedName('a'.repeat(63)))).toBeNull();
    expect(nameProblem(suggestedName('checkout'))).toBeNull();
    for (const name of ['', 'Allow', '-a', 'a-', 'a.b', 'a'.repeat(64)]) expect(nameProblem(name)).not.toBeNull();
  });
});

describe('groupCallers', () => {
  it('keeps the order through a refresh and takes the weakest protection of a group', () => {
    const shuffled = [...CALLERS].reverse();
    expect(groupCallers(shuffled)).toEqual(groupCallers(CALLERS));
    expect(groupCallers([READ, { ...LIST, mtls: 'unknown' }])[0]).toMatchObject({ mtls: 'unknown', requests: 20, ips: ['127.0.0.2'] });
  });
});
