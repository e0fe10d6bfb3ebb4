import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An address that must not be fetched from, or a fetch that failed. The message names the place and what to do. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

/** Azure answers machines with their secrets at an address that looks public. */
const METADATA = ['168.63.129.16'];

/** What an address is that no stranger's URL may lead to; null for one of the open internet. */
export function forbiddenKind(address: string): string | null {
  if (!ipaddr.isValid(address)) return 'unreadable';
  // `process` turns ::ffff:127.0.0.1 into what it means.
  const parsed = ipaddr.process(address);
  if (METADATA.includes(parsed.toString())) return 'metadata service';
  const range = parsed.range();
  // NAT64, 6to4, Teredo and the like carry another address inside: only plain unicast is let through.
  if (range !== 'unicast') return KINDS[range] ?? range;
  // RFC 4291 §2.4, IANA: global unicast addresses are assigned from 2000::/3 alone.
  return parsed.kind() === 'ipv6' && (parsed.toByteArray()[0] ?? 0) >> 5 !== 1 ? 'reserved' : null;
}

const KINDS: Readonly<Record<string, string>> = {
  private: 'private', uniqueLocal: 'private', loopback: 'loopback', linkLocal: 'link-local', unspecified: 'unspecified',
  carrierGradeNat: 'private (carrier-grade NAT)', broadcast: 'broadcast', ipv4Mapped: 'IPv4-mapped',
};

/** The host of a URL without the brackets of an IPv6 address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** A URL as it may be shown: a query can hold a secret. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** True when somebody who may write the Mesh named the host, or just this port of it. */
function isAllowed(url: URL, allowedHosts: readonly string[]): boolean {
  const host = hostOf(url);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const names = [host, url.hostname, `${url.hostname}:${port}`];
  return allowedHosts.some((allowed) => names.includes(allowed.toLowerCase()));
}

/**
 * Resolves a URL's host and checks every address, unless the host is allowed by name. Whoever connects must use these
 * addresses and no others: a second look-up could answer differently (DNS rebinding).
 *
 * @throws FetchError
 */
export async function checkedAddresses(url: URL, allowedHosts: readonly string[], resolve: Resolve): Promise<readonly LookupAddress[]> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new FetchError(`${shown(url)}: only http and https are fetched`);
  if (url.username !== '' || url.password !== '') throw new FetchError(`${shown(url)}: the address holds credentials; remove them`);
  const host = hostOf(url);
  const family = isIP(host);
  const addresses = family === 0 ? await resolved(host, url, resolve) : [{ address: host, family }];
  if (addresses.length === 0) throw new FetchError(`${shown(url)}: the name has no address`);
  if (isAllowed(url, allowedHosts)) return addresses;
  for (const { address } of addresses) {
    const kind = forbiddenKind(address);
    if (kind !== null) throw new FetchError(`${shown(url)} leads to the ${kind} address ${address}, which is refused; if that is meant, add ${JSON.stringify(host)} to spec.jwks.allowedHosts of the Mesh`);
  }
  return addresses;
}

async function resolved(host: string, url: URL, resolve: Resolve): Promise<readonly LookupAddress[]> {
  try {
    return await resolve(host);
  } catch (error) {
    throw new FetchError(`${shown(url)}: the name does not resolve (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}
