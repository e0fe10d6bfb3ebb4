import { API_VERSION, KINDS } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { weakeningOf } from './weakening.ts';

type Kind = 'RequestAuthentication' | 'AuthorizationPolicy';
const object = (kind: Kind, spec: object) => KINDS[kind].schema.parse({ apiVersion: API_VERSION, kind, metadata: { name: 'x', namespace: 'shop' }, spec });
const between = (kind: Kind, before: object, after: object | null) =>
  weakeningOf({ seq: 1, at: '2026-01-01T00:00:00.000Z', actor: 'admin', via: 'cli', action: 'apply', resource: `${kind}/shop/x`, before: object(kind, before), after: after && object(kind, after), previousHash: '', hash: '' })?.detail ?? null;
const rule = (fields: object = {}) => ({ issuer: 'i', jwksUri: 'https://i.test/keys', audiences: ['a', 'b'], ...fields });

describe('a change of what tokens are taken', () => {
  it.each<[string, object[], object[] | null, RegExp]>([
    ['nothing', [rule()], [rule()], /^no weakening$/],
    ['fewer audiences', [rule()], [rule({ audiences: ['a'] })], /^no weakening$/],
    ['another audience', [rule()], [rule({ audiences: ['a', 'c'] })], /more audiences/],
    ['any audience', [rule()], [rule({ audiences: [] })], /more audiences/],
    ['other keys', [rule()], [rule({ jwksUri: 'https://elsewhere.test/keys' })], /keys from elsewhere/],
    ['one more issuer', [rule()], [rule(), rule({ issuer: 'j' })], /issuer j are accepted now/],
    ['one issuer less', [rule(), rule({ issuer: 'j' })], [rule()], /^no weakening$/],
    ['no rule', [rule()], [], /no longer checked/],
    ['no object', [rule()], null, /no longer checked/],
  ])('%s', (_, before, after, expected) => {
    expect(between('RequestAuthentication', { jwtRules: before }, after && { jwtRules: after }) ?? 'no weakening').toMatch(expected);
  });

  it('CUSTOM that asks nobody any more is one too', () => {
    const custom = { action: 'CUSTOM', provider: { name: 'authz' }, rules: [{}] };
    expect(between('AuthorizationPolicy', custom, { rules: [{}] })).toBe('policy went from CUSTOM to ALLOW');
    expect(between('AuthorizationPolicy', custom, { action: 'DENY', rules: [{}] })).toBeNull();
    expect(between('AuthorizationPolicy', custom, null)).toBe('CUSTOM policy was deleted');
  });
});
