import { type Socket, SocketAddress } from 'node:net';
import type { InetAddress } from '../listener/address.ts';
import type { ReadSocketOption } from '../native/sockopt.ts';

// Linux, <linux/in.h>, <linux/in6.h>, <linux/netfilter_ipv4.h>, <linux/netfilter_ipv6/ip6_tables.h>.
const SOL_IP = 0;
const SOL_IPV6 = 41;
/** The number of SO_ORIGINAL_DST and of IP6T_SO_ORIGINAL_DST. */
const ORIGINAL_DST = 80;
/** struct sockaddr_in: family, port, address, padding. */
const IPV4_BYTES = 16;
/** struct sockaddr_in6: family, port, flow, address, scope. */
const IPV6_BYTES = 28;

/** Where a connection was going before a rule redirected it; null when that is not known. */
export function originalDestination(socket: Socket, read: ReadSocketOption): InetAddress | null {
  // One listener for both families shows IPv4 in IPv6's form (RFC 4291 §2.5.5.2), and only the peer tells them apart.
  const isV4 = socket.remoteFamily === 'IPv4' || (socket.remoteAddress ?? '').startsWith('::ffff:');
  const bytes = isV4 ? read(socket, SOL_IP, ORIGINAL_DST, IPV4_BYTES) : read(socket, SOL_IPV6, ORIGINAL_DST, IPV6_BYTES);
  return bytes && (isV4 ? readIpv4(bytes) : readIpv6(bytes));
}

function readIpv4(bytes: Buffer): InetAddress {
  return { host: bytes.subarray(4, 8).join('.'), port: bytes.readUInt16BE(2) };
}

function readIpv6(bytes: Buffer): InetAddress {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(8 + 2 * i).toString(16));
  return { host: canonicalIp(groups.join(':')), port: bytes.readUInt16BE(2) };
}

/** The one text of an address (RFC 5952), so that texts can be compared. */
export function canonicalIp(address: string): string {
  return address.includes(':') ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}
