import type { Endpoint } from '../http/route.ts';
import { hashOf } from './hash.ts';

/** An endpoint with what a plan knows of it. */
export interface Member {
  endpoint: Endpoint;
  /** The same for the same endpoint in every proxy and for ever, so that all of them hash alike. */
  readonly hash: number;
  /** Calls of this plan that are open. */
  open: number;
  /** Failures since the last success. */
  failures: number;
  /** How often it was ejected, less what good conduct took off. */
  ejections: number;
  /** In ms of the plan's clock; in the past when it is in use. */
  ejectedUntil: number;
}

/**
 * Members for `endpoints`, in their order. Those that were known stay the same objects: open calls are counted down on
 * them, and what is known of their health outlives a new configuration.
 */
export function membersOf(endpoints: readonly Endpoint[], before: readonly Member[]): Member[] {
  const known = new Map(before.map((member) => [keyOf(member.endpoint), member]));
  return endpoints.map((endpoint) => {
    const key = keyOf(endpoint);
    const member = known.get(key) ?? { endpoint, hash: hashOf(key), open: 0, failures: 0, ejections: 0, ejectedUntil: 0 };
    // Its name or its place may have changed.
    member.endpoint = endpoint;
    return member;
  });
}

function keyOf({ address, port, spiffeId }: Endpoint): string {
  return `${address} ${port} ${spiffeId ?? ''}`;
}
