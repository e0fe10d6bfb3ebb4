import type { Socket } from 'node:net';
import { readClientHello } from './client-hello.ts';

/** What a connection's first bytes say. `silent`: nothing, or not enough, within the wait. */
export type Sniffed = 'tls' | 'tls-with-name' | 'plaintext' | 'silent' | 'closed';

/** RFC 8446 §5.1: a handshake record, and so a ClientHello, starts with content type 22. */
const HANDSHAKE_RECORD = 0x16;

/**
 * Looks at the first bytes without taking them. Waits at most `ms` milliseconds.
 *
 * @param named true to tell TLS that asks for a server by name from TLS that does not, which needs the whole ClientHello
 */
export function sniff(socket: Socket, ms: number, named: boolean): Promise<Sniffed> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (result: Sniffed) => {
      clearTimeout(timer);
      socket.off('readable', look).off('end', closed).off('close', closed);
      if (bytes.length > 0 && !socket.destroyed) socket.unshift(bytes);
      resolve(result);
    };
    const closed = () => finish('closed');
    const look = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) bytes = Buffer.concat([bytes, chunk]);
      const told = bytes.length === 0 ? null : whatIs(bytes, named);
      if (told !== null) finish(told);
    };
    const timer = setTimeout(() => finish('silent'), ms);
    socket.on('readable', look).once('end', closed).once('close', closed);
  });
}

function whatIs(bytes: Buffer, named: boolean): Sniffed | null {
  if (bytes[0] !== HANDSHAKE_RECORD) return 'plaintext';
  if (!named) return 'tls';
  const hello = readClientHello(bytes);
  if (hello === 'more') return null;
  return hello !== 'none' && hello.serverName !== null ? 'tls-with-name' : 'tls';
}
