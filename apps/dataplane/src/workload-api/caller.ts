import type { Socket } from 'node:net';
import { socketOptionReader } from '../native/sockopt.ts';

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

/** @throws Error where the kernel cannot be asked: the Workload API is not served there */
export function callerReader(): ReadCaller {
  const read = socketOptionReader();
  return (socket) => {
    const credentials = read(socket, SOL_SOCKET, SO_PEERCRED, UCRED_BYTES);
    if (credentials === null) return null;
    const caller = { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) };
    return caller.uid === OVERFLOW_ID ? null : caller;
  };
}
