import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { expect, it } from 'vitest';
import { compileIpBlocks, parseAddress } from './address.ts';

const v4 = fc.tuple(fc.constantFrom(10, 11), fc.constantFrom(0, 127, 255), fc.constantFrom(0, 1), fc.integer({ min: 0, max: 255 })).map((parts) => parts.join('.'));
const v6 = fc.tuple(fc.constantFrom('fd00', '2001:db8'), fc.constantFrom('0', '1', 'ffff'), fc.integer({ min: 0, max: 65_535 }).map((part) => part.toString(16))).map(([a, b, c]) => `${a}:${b}::${c}`);
const address = fc.oneof(v4, v6, v4.map((text) => `::ffff:${text}`));
const block = address.chain((text) => fc.option(fc.integer({ min: 0, max: text.includes(':') ? 128 : 32 })).map((bits) => (bits === null ? text : `${text}/${bits}`)));

/** One block by the library, as Istio reads it; mapped forms count as IPv4. */
function inBlock(text: string, one: string): boolean {
  const [base, bits] = ipaddr.parseCIDR(one.includes('/') ? one : `${one}/${one.includes(':') ? 128 : 32}`);
  const mapped = base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && bits >= 96;
  const range: [ipaddr.IPv4 | ipaddr.IPv6, number] = mapped ? [base.toIPv4Address(), bits - 96] : [base, bits];
  const parsed = ipaddr.process(text);
  return parsed.kind() === range[0].kind() && parsed.match(range);
}

it('is in a list when it is in one of its blocks', () => {
  fc.assert(fc.property(fc.array(block, { minLength: 1, maxLength: 20 }), fc.array(address, { minLength: 10, maxLength: 10 }), (blocks, addresses) => {
    const match = compileIpBlocks(blocks);
    for (const text of addresses) expect({ text, found: match(parseAddress(text)) }).toEqual({ text, found: blocks.some((one) => inBlock(text, one)) });
  }), { numRuns: 2000 });
});

it('has nothing in it that is no address', () => {
  expect(compileIpBlocks(['0.0.0.0/0', '::/0'])(parseAddress('nowhere'))).toBe(false);
});
