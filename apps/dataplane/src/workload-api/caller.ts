import type { Socket } from 'node:net';
import koffi from 'koffi';

/** Who opened a Unix socket, as the kernel saw it at that moment. */
export interface Caller {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Tells who is at the other end; null when that cannot be told, and then nobody is. */
export type ReadCaller = (socket: Socket) => Caller | null;

// Linux, <asm-generic/socket.h>: the numbers of x64 and arm64.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid, uid, gid, four bytes each. */
const UCRED_BYTES = 12;
/** What the kernel shows for an identity that has none in our user namespace: any number of strangers at once. */
const OVERFLOW_ID = 65_534;

/**
 * The way to ask the kernel, by its C library: Node has none. This file is the only one that calls foreign code, and
 * `getsockopt` on a descriptor that is ours is all that it calls.
 *
 * @throws Error where this is not known to work: the Workload API is not served there
 */
export function callerReader(): ReadCaller {
  const { platform, arch } = process;
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    throw new Error(`callers cannot be identified on ${platform}/${arch}; serve the Workload API on Linux (x64 or arm64)`);
  }
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)');
  return (socket) => {
    const fd = descriptorOf(socket);
    if (fd < 0) return null;
    const credentials = Buffer.alloc(UCRED_BYTES);
    const length = [UCRED_BYTES];
    const result: unknown = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length);
    if (result !== 0 || length[0] !== UCRED_BYTES) return null;
    const caller = { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) };
    return caller.uid === OVERFLOW_ID ? null : caller;
  };
}

/** Node keeps the descriptor on the handle, undocumented; -1 when it is gone or has moved. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as { _handle?: { fd?: unknown } | null })._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}
