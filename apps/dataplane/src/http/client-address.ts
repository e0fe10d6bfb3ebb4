import { isIP } from 'node:net';
import type { HeaderPair } from './headers.ts';

/**
 * The address of the client behind trusted proxies.
 *
 * Envoy, `xff_num_trusted_hops` N > 0: "the trusted client address is the Nth address from the right end of the
 * X-Forwarded-For header. (If the XFF contains fewer than N addresses, Envoy falls back to using the immediate
 * downstream connection's source address.)" With 0 the header is not looked at.
 */
export function clientAddress(peer: string, headers: readonly HeaderPair[], trusted: number): string {
  if (trusted === 0) return peer;
  const entries = headers.filter(([name]) => name.toLowerCase() === 'x-forwarded-for').flatMap(([, value]) => value.split(','));
  const entry = entries.at(-trusted)?.trim() ?? '';
  return isIP(entry) === 0 ? peer : entry;
}
