import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { ipBlock, isIpBlock, pathPattern } from './match.ts';

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

it('lets no address fall by its pattern that its check takes', () => {
  const pattern = patternOf(ipBlock);
  const address = fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), fc.ipV4().map((v4) => `::ffff:${v4}`), fc.constantFrom('fe80::1%eth0', '::', '::1.2.3.4', '010.0.0.1', '0x7f.0.0.1'));
  fc.assert(fc.property(address, fc.option(fc.integer({ min: 0, max: 140 })), (text, bits) => {
    const block = bits === null ? text : `${text}/${bits}`;
    expect({ block, sieved: isIpBlock(block) && !pattern.test(block) }).toEqual({ block, sieved: false });
  }), { numRuns: 5000 });
});
