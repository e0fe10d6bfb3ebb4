import ipaddr from 'ipaddr.js';
import type { Classes, Representative } from './strings.ts';

const USUAL = ['10.0.0.1', '192.0.2.1', '2001:db8::1'];
const LOWEST = ['0.0.0.0', '::', '::1:0:0:0'];

/**
 * One address for each stretch that the blocks divide all addresses into: each begins where a block begins, just after
 * one ends, or at the lowest address of its family.
 */
export function addressClasses(blocks: Iterable<string>): Classes {
  const texts = [...new Set(blocks)];
  const values: Representative[] = texts.flatMap((block) => edges(block).map((value, index) => ({ value, label: index === 0 ? block : `just after ${block}`, secondary: index > 0 })));
  const others = [...USUAL, ...LOWEST].map((value) => ({ value, label: '(any other)', secondary: true }));
  return { values: [...others.slice(0, USUAL.length), ...values, ...others.slice(USUAL.length)], complete: true };
}

/** The first address of a block, and the first after it. */
function edges(block: string): string[] {
  const slash = block.indexOf('/');
  const address = ipaddr.parse(slash < 0 ? block : block.slice(0, slash));
  const bytes = address.toByteArray();
  const bits = slash < 0 ? bytes.length * 8 : Number(block.slice(slash + 1));
  const first = bytes.map((byte, index) => byte & mask(bits - index * 8));
  const last = bytes.map((byte, index) => (byte & mask(bits - index * 8)) | (0xff ^ mask(bits - index * 8)));
  const after = increment(last);
  return [first, ...(after === null ? [] : [after])].map((each) => ipaddr.fromByteArray(each).toString());
}

function mask(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

function increment(bytes: readonly number[]): number[] | null {
  const next = [...bytes];
  for (let index = next.length - 1; index >= 0; index -= 1) {
    const byte = next[index] ?? 0;
    next[index] = (byte + 1) & 0xff;
    if (byte < 0xff) return next;
  }
  return null;
}
