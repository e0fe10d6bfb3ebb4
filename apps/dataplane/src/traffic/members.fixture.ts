import type { Endpoint, ServicePort } from '../http/route.ts';
import type { Backend } from './group.ts';
import type { Member } from './member.ts';
import { membersOf } from './member.ts';

/** An endpoint of the workload `w<n>`, in `zone` of `region` when they are given. */
export function endpoint(n: number, region?: string, zone?: string): Endpoint {
  const locality = region === undefined ? {} : { locality: { region, ...(zone === undefined ? {} : { zone }) } };
  return { workload: `w${n}`, address: `10.0.${n >> 8}.${n & 255}`, port: 80, spiffeId: null, hbone: null, ...locality };
}

export function endpoints(count: number): Endpoint[] {
  return Array.from({ length: count }, (_, n) => endpoint(n));
}

export function members(count: number): Member[] {
  return membersOf(endpoints(count), []);
}

function servicePort(list: readonly Endpoint[]): ServicePort {
  return { port: 80, protocol: 'http', endpoints: [...list] };
}

export function backendOf(list: readonly Endpoint[], service = 'api', weight = 1): Backend {
  return { service, port: servicePort(list), weight };
}

/** Numbers that look like chance and are the same each time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
