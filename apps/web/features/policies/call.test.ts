import { callView, explainRequest } from '@sallyport/shared/api';
import { describe, expect, it } from 'vitest';
import { callFrom, callLine, explainDeny, explainWitness, hasRare, NO_CALL, requestOf } from './call.ts';

const WITNESS = callView.parse({
  principal: 'spiffe://shop.test/ns/shop/sa/web', ip: '10.0.0.1', remoteIp: '203.0.113.9', workload: 'pay/card', port: 8080, protocol: 'http', method: 'PUT', path: '/charge?x=1&y=2',
  host: 'card.pay', headers: [{ name: 'x-a', value: '1' }, { name: 'x-a', value: '2' }], sni: null, claims: '{"sub":"ann"}',
});
/** What the page reads back from an address of its own. */
const read = (address: string) => {
  const query = new URL(address, 'http://console').searchParams;
  return callFrom((name) => query.get(name) ?? '');
};

describe('a call in the address', () => {
  it('comes back whole as a question that the operator takes', () => {
    const question = requestOf(read(explainWitness(WITNESS)));
    if (!question.ok) throw new Error(JSON.stringify(question.problems));
    expect(explainRequest.parse(question.request)).toEqual({
      from: WITNESS.principal, to: 'pay/card', port: 8080, protocol: 'http', method: 'PUT', path: '/charge?x=1&y=2', host: 'card.pay', ip: '10.0.0.1', remoteIp: '203.0.113.9',
      headers: [{ name: 'x-a', value: '1' }, { name: 'x-a', value: '2' }], claims: { sub: 'ann' },
    });
  });

  it('is filled in from a denied call, plaintext and TCP too', () => {
    const deny = {
      at: '2026-01-15T12:00:00.000Z', source: { principal: null, ip: '10.0.0.7', workload: null }, destination: { namespace: 'pay', workload: 'card', service: 'cards', port: 6379 },
      method: null, path: null, policy: 'pay/strict', reason: 'plaintext-refused', reporter: 'node-a', traceId: null,
    };
    expect(read(explainDeny(deny))).toEqual({ ...NO_CALL, from: 'plaintext', ip: '10.0.0.7', to: 'pay/card', port: '6379', protocol: 'tcp' });
    expect(read(explainDeny({ ...deny, method: 'GET', path: '/a b' }))).toMatchObject({ protocol: 'http', method: 'GET', path: '/a b' });
  });

  it('names each field that is wrong, and asks nothing', () => {
    expect(requestOf(NO_CALL)).toMatchObject({ ok: false, problems: { from: expect.any(String), to: expect.any(String) } });
    const call = { ...NO_CALL, from: 'plaintext', to: 'pay/card' };
    for (const [field, value] of [['port', '0'], ['port', 'x'], ['claims', '[]'], ['claims', '{'], ['headers', 'no colon']] as const) {
      expect(requestOf({ ...call, [field]: value })).toMatchObject({ ok: false, problems: { [field]: expect.any(String) } });
    }
    expect(requestOf(call)).toEqual({ ok: true, request: { from: 'plaintext', to: 'pay/card' } });
  });
});

describe('a call for people', () => {
  it('says all that a rule may look at', () => {
    expect(callLine(WITNESS)).toBe('PUT /charge?x=1&y=2 to pay/card:8080 from spiffe://shop.test/ns/shop/sa/web at 10.0.0.1; host card.pay; for the client 203.0.113.9; x-a: 1; x-a: 2; token {"sub":"ann"}');
    expect(callLine({ ...WITNESS, protocol: 'tcp', principal: null, host: null, headers: [], claims: null, remoteIp: null })).toBe('a TCP connection to pay/card:8080 from a plaintext peer at 10.0.0.1');
  });

  it('unfolds the rare fields when one is given', () => {
    expect(hasRare({ ...NO_CALL, from: 'a/b', method: 'GET' })).toBe(false);
    expect(hasRare({ ...NO_CALL, sni: 'x' })).toBe(true);
  });
});
