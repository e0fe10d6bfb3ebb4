import * as fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { expect, it } from 'vitest';
import { isIpBlock, pathPattern } from './match.ts';

function patternOf(schema: { meta: () => { readonly [key: string]: unknown } | undefined }): RegExp {
  return new RegExp(String(schema.meta()?.['pattern']));
}

it('says of path templates by its pattern what its check says', () => {
  const pattern = patternOf(pathPattern);
  const part = fc.constantFrom('/', '{*}', '{**}', '{', '}', '*', '**', 'a', '.html', '{a}');
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 9 }).map((parts) => parts.join('')), (path) => {
    expect({ path, ok: pattern.test(path) }).toEqual({ path, ok: pathPattern.safeParse(path).success });
  }), { numRuns: 5000 });
});

it('takes the addresses that a parser of addresses takes, but no octets with leading zeros', () => {
  const byParser = (address: string) => ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address);
  const part = fc.constantFrom('::', '1:', '2:3', ':', 'ffff', '12345', ':a', '%eth0', ':1:2:3:4:5:6:7', '1:2:3:4:5:6:', '1.2.3.4', '10.0.0.256', '::ffff:', '.');
  const address = fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')));
  fc.assert(fc.property(address.filter((text) => text.length <= 60 && !/(^|[.:])0[0-9]/.test(text)), fc.option(fc.integer({ min: 0, max: 140 })), (text, bits) => {
    const block = bits === null ? text : `${text}/${bits}`;
    expect({ block, ok: isIpBlock(block) }).toEqual({ block, ok: byParser(text) && (bits ?? 0) <= (text.includes(':') ? 128 : 32) });
  }), { numRuns: 5000 });
  expect(['010.0.0.1', '::ffff:10.0.0.01', '0x7f.0.0.1'].map(isIpBlock)).toEqual([false, false, false]);
});
