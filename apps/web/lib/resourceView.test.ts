import { API_VERSION, parseResource } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { conditionsOf, idOf, isProgrammed, policySchema, toYaml, type Policy } from './resourceView.ts';

const AT = '2026-01-15T12:00:00.000Z';

function aPolicy(generation: number, observed: number): Policy {
  const condition = (type: string) => ({ type, status: 'True', reason: 'Fine', message: 'It is.', lastTransitionTime: AT, observedGeneration: observed });
  const parsed = policySchema.safeParse({
    apiVersion: API_VERSION,
    kind: 'AuthorizationPolicy',
    metadata: { name: 'pay', namespace: 'shop', generation, managedFields: [{ manager: 'console', fields: ['spec'], time: AT }] },
    spec: { rules: [{}] },
    status: { conditions: ['Accepted', 'ResolvedRefs', 'Programmed'].map(condition) },
  });
  if (!parsed.success) throw new Error(parsed.error.issues[0]?.message);
  return parsed.data;
}

describe('conditionsOf', () => {
  it('takes a condition for what it says only when it is about the present generation', () => {
    expect(isProgrammed(aPolicy(2, 2))).toBe(true);
    expect(isProgrammed(aPolicy(3, 2))).toBe(false);
    expect(conditionsOf(aPolicy(3, 2)).map((each) => [each.status, each.reason])).toEqual(Array.from({ length: 3 }, () => ['Unknown', 'Outdated']));
  });

  it('says Unknown for what nobody reported', () => {
    expect(conditionsOf({ metadata: {} }).map((each) => `${each.type} ${each.status}`)).toEqual(['Accepted Unknown', 'ResolvedRefs Unknown', 'Programmed Unknown']);
  });

  it('expects no proxy to run a federation', () => {
    expect(conditionsOf({ kind: 'FederatedTrustDomain', metadata: {} }).map(({ type }) => type)).toEqual(['Accepted', 'BundleFetched']);
  });
});

describe('idOf', () => {
  it('has no namespace where the kind has none', () => {
    expect(idOf(aPolicy(1, 1))).toBe('shop/pay');
    expect(idOf({ metadata: { name: 'partner' } })).toBe('partner');
  });
});

describe('toYaml', () => {
  it('can be read back and leaves out the bookkeeping', () => {
    const text = toYaml(aPolicy(2, 2));
    expect(text).not.toContain('managedFields');
    expect(text).toContain('name: pay');
  });
});

describe('policySchema', () => {
  it('refuses what is not a policy, with the reason', () => {
    const service = { apiVersion: API_VERSION, kind: 'Service', metadata: { name: 'a', namespace: 'b' }, spec: { selector: {}, ports: [{ port: 80 }] } };
    expect(parseResource(service).kind).toBe('Service');
    expect(policySchema.safeParse(service)).toMatchObject({ success: false });
    expect(policySchema.safeParse({ ...service, kind: 'AuthorizationPolicy' })).toMatchObject({ success: false });
    expect(policySchema.safeParse(null)).toMatchObject({ success: false });
  });
});
