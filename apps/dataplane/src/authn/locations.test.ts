import { randomBytes } from 'node:crypto';
import type { TokenLocation } from '@sallyport/shared/policy';
import { describe, expect, it } from 'vitest';
import { clientAddress } from '../http/client-address.ts';
import { findTokens, stripTokens } from './locations.ts';
import { decodeToken } from './token.ts';

const at = (kind: TokenLocation['kind'], name: string, prefix = ''): TokenLocation => ({ kind, name, prefix });
const ALL = [at('header', 'authorization', 'Bearer '), at('header', 'x-t'), at('param', 'a b'), at('cookie', 'c')];

describe('taking tokens out', () => {
  it.each([
    ['?a%20b=t&x=1', '?x=1'], ['?x=1&a+b=t', '?x=1'], ['?x=%zz&a%20b=t&&y', '?x=%zz&&y'], ['?a%20b=t', ''], ['?a%2520b=t', '?a%2520b=t'],
  ])('of the query %s leaves %s', (query, left) => {
    const carrier = { headers: [], query };
    expect(stripTokens(carrier, findTokens(ALL, carrier)).query).toBe(left);
  });

  it('of headers leaves the others, and those of the same name that hold none', () => {
    const headers = [['Authorization', 'Bearer one'], ['Authorization', 'Basic two'], ['Cookie', 'c=1; d=2;c=3'], ['Cookie', 'c="4"'], ['X-T', 'five']] as const;
    const found = findTokens(ALL, { headers, query: '' });
    expect(found.map(({ text }) => text)).toEqual(['one', 'five', '1', '3', '4']);
    expect(stripTokens({ headers, query: '' }, found).headers).toEqual([['Authorization', 'Basic two'], ['Cookie', 'd=2']]);
  });

  it('finds what it leaves nowhere, whatever the bytes', () => {
    for (let i = 0; i < 2_000; i += 1) {
      const noise = randomBytes(i % 60).toString('latin1').replace(/[\r\n\0]/g, '');
      const carrier = { headers: [['cookie', `${noise};c=${noise}`], ['authorization', `Bearer ${noise}`], ['x-t', noise]] as const, query: `?${noise}&a%20b=${noise}` };
      const found = findTokens(ALL, carrier);
      expect(findTokens(ALL, stripTokens(carrier, found))).toEqual([]);
      for (const { text } of found) expect(decodeToken(text)).toBeNull();
    }
  });
});

describe('the form of a token', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  it.each<[string, string]>([
    ['two parts', `${part({ alg: 'ES256' })}.${part({})}`],
    ['five parts', 'a.b.c.d.e'],
    ['padding', `${part({ alg: 'ES256' })}.${part({})}.AA==`],
    ['a payload that is a list', `${part({ alg: 'ES256' })}.${part([])}.AA`],
    ['a payload that is null', `${part({ alg: 'ES256' })}.${part(null)}.AA`],
    ['no algorithm', `${part({})}.${part({})}.AA`],
    ['an unencoded payload', `${part({ alg: 'ES256', b64: false, crit: ['b64'] })}.${part({})}.AA`],
  ])('%s is none', (_, text) => {
    expect(decodeToken(text)).toBeNull();
  });
});

describe('the client’s address', () => {
  it.each<[string[], number, string]>([
    [['1.1.1.1, 2.2.2.2', '3.3.3.3'], 1, '3.3.3.3'], [['1.1.1.1, 2.2.2.2', '3.3.3.3'], 3, '1.1.1.1'], [['1.1.1.1'], 2, '9.9.9.9'],
    [['2001:db8::1'], 1, '2001:db8::1'], [['1.1.1.1:80'], 1, '9.9.9.9'], [[''], 1, '9.9.9.9'], [['1.1.1.1'], 0, '9.9.9.9'],
  ])('of %j behind %i proxies is %s', (values, trusted, address) => {
    expect(clientAddress('9.9.9.9', values.map((value) => ['X-Forwarded-For', value] as const), trusted)).toBe(address);
  });
});
