import ipaddr from 'ipaddr.js';

/** An address ready to be held against CIDRs, as the number that it is; null for text that is none. */
export type Address = { readonly v4: number; readonly v6: null } | { readonly v4: null; readonly v6: bigint } | null;
export type AddressMatch = (address: Address) => boolean;

/** Reads an address once; an IPv4-mapped IPv6 address is the IPv4 one. */
export function parseAddress(text: string): Address {
  if (!ipaddr.isValid(text)) return null;
  const address = ipaddr.process(text);
  return address instanceof ipaddr.IPv6 ? { v4: null, v6: toBigInt(address) } : { v4: Number(toBigInt(address)), v6: null };
}

/** A compiled CIDR list: disjoint ranges in order, so that a long list costs a few comparisons. */
export function compileIpBlocks(blocks: readonly string[]): AddressMatch {
  const all = blocks.map(rangeOf);
  const v4 = merge(all.filter(({ bits }) => bits === 32)).map(([low, high]): Range<number> => [Number(low), Number(high)]);
  const v6 = merge(all.filter(({ bits }) => bits === 128));
  return (address) => address !== null && (address.v4 === null ? within(v6, address.v6) : within(v4, address.v4));
}

type Range<N> = readonly [low: N, high: N];

/** Whether one of the ranges has the value: the last that begins at or before it decides. */
function within<N extends number | bigint>(ranges: readonly Range<N>[], value: N): boolean {
  let first = 0;
  let after = ranges.length;
  while (first < after) {
    const middle = (first + after) >> 1;
    const range = ranges[middle];
    if (range === undefined) return false;
    if (value < range[0]) after = middle;
    else if (value <= range[1]) return true;
    else first = middle + 1;
  }
  return false;
}

function merge(ranges: readonly { readonly low: bigint; readonly high: bigint }[]): Range<bigint>[] {
  const merged: [bigint, bigint][] = [];
  for (const { low, high } of [...ranges].sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0))) {
    const last = merged.at(-1);
    if (last === undefined || low > last[1]) merged.push([low, high]);
    else if (high > last[1]) last[1] = high;
  }
  return merged;
}

/** IPv4-mapped blocks are IPv4 blocks, as the addresses that they are held against. */
function rangeOf(block: string): { readonly bits: 32 | 128; readonly low: bigint; readonly high: bigint } {
  const [base, length] = ipaddr.parseCIDR(block.includes('/') ? block : `${block}/${block.includes(':') ? 128 : 32}`);
  const mapped = base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && length >= 96;
  const [address, prefix] = mapped ? [base.toIPv4Address(), length - 96] : [base, length];
  const bits = address instanceof ipaddr.IPv6 ? 128 : 32;
  const free = BigInt(bits - prefix);
  // Host bits may be set, as in Istio.
  const low = (toBigInt(address) >> free) << free;
  return { bits, low, high: low | ((1n << free) - 1n) };
}

function toBigInt(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  return address.toByteArray().reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
