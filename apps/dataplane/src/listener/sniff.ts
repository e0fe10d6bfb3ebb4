import type { Socket } from 'node:net';

/** What a connection's first byte says. `silent`: nothing within the wait. */
export type Sniffed = 'tls' | 'plaintext' | 'silent' | 'closed';

/** RFC 8446 §5.1: a handshake record, and so a ClientHello, starts with content type 22. */
const HANDSHAKE_RECORD = 0x16;

/** Looks at the first byte without taking it. Waits at most `ms` milliseconds. */
export function sniff(socket: Socket, ms: number): Promise<Sniffed> {
  return new Promise((resolve) => {
    const finish = (result: Sniffed) => {
      clearTimeout(timer);
      socket.off('readable', look).off('end', closed).off('close', closed);
      resolve(result);
    };
    const closed = () => finish('closed');
    const look = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      socket.unshift(chunk);
      finish(chunk[0] === HANDSHAKE_RECORD ? 'tls' : 'plaintext');
    };
    const timer = setTimeout(() => finish('silent'), ms);
    socket.on('readable', look).once('end', closed).once('close', closed);
  });
}
