import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/**
 * Reads a socket option of a connection of ours.
 *
 * @param size of the value in bytes
 * @returns null when the kernel gives none of that size
 */
export type ReadSocketOption = (socket: Socket, level: number, name: number, size: number) => Buffer | null;

/**
 * The way to ask the kernel, by its C library: Node has none. This file is the only one that calls foreign code, and
 * `getsockopt` on a descriptor that is ours is all that it calls. The library is loaded by whoever asks, and by nobody else.
 *
 * @throws Error where this is not known to work
 */
export function socketOptionReader(): ReadSocketOption {
  const { platform, arch } = process;
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) throw new Error(`socket options cannot be read on ${platform}/${arch}; this works on Linux (x64 or arm64)`);
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)');
  return (socket, level, name, size) => {
    const fd = descriptorOf(socket);
    if (fd < 0) return null;
    const value = Buffer.alloc(size);
    const length = [size];
    const result: unknown = getsockopt(fd, level, name, value, length);
    return result === 0 && length[0] === size ? value : null;
  };
}

/** Node keeps the descriptor on the handle, undocumented; -1 when it is gone or has moved. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as { _handle?: { fd?: unknown } | null })._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}
