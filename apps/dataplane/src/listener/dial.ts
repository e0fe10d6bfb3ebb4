import net from 'node:net';
import tls from 'node:tls';
import type { FlowReason } from '@sallyport/shared/mesh';
import type { Credentials } from '../identity/credentials.ts';
import { expectIdentity } from '../identity/peer.ts';
import { SocketLink } from '../link/socket-link.ts';
import { type Address, formatAddress } from './address.ts';

const CONNECT_MS = 5_000;
const HANDSHAKE_MS = 10_000;

/** A connection that could not be made. Nothing of the call was sent, so another endpoint may be tried. */
export class DialError extends Error {
  override readonly name = 'DialError';
  readonly reason: FlowReason;
  constructor(reason: FlowReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Connects without TLS: to a local application, or to a workload outside the mesh.
 *
 * @param allowHalfOpen for TCP; an HTTP pool must notice at once that the other side closed
 * @throws DialError
 */
export async function dialPlaintext(address: Address, allowHalfOpen: boolean): Promise<SocketLink> {
  return new SocketLink(await connect(address, allowHalfOpen));
}

/**
 * Connects with mutual TLS 1.3 under the workload's own SVID and checks that `expected` answers.
 *
 * @param alpn what may be spoken; nothing is said about it when empty
 * @throws DialError: `upstream-unreachable` when nobody answers, `upstream-identity` when the wrong one does
 */
export async function dialMesh(address: Address, expected: string, credentials: Credentials, allowHalfOpen: boolean, alpn: readonly string[] = []): Promise<SocketLink> {
  const secureContext = credentials.context();
  if (!secureContext) throw new DialError('no-config', `workload ${credentials.spiffeId} has no SVID yet`);
  const raw = await connect(address, allowHalfOpen);
  const socket = tls.connect({
    socket: raw,
    secureContext,
    servername: '',
    ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    // SPIFFE IDs are compared below on every connection; Node skips this hook for resumed sessions.
    checkServerIdentity: () => undefined,
  });
  await established(socket, 'secureConnect', HANDSHAKE_MS, (error) => handshakeFailed(address, error));
  try {
    expectIdentity(socket, expected, credentials.trust);
  } catch (error) {
    socket.destroy();
    throw new DialError('upstream-identity', `${formatAddress(address)}: ${(error as Error).message}`);
  }
  return new SocketLink(socket);
}

async function connect(address: Address, allowHalfOpen: boolean): Promise<net.Socket> {
  const socket = net.connect({ ...address, allowHalfOpen, noDelay: true });
  await established(socket, 'connect', CONNECT_MS, (error) => unreachable(address, error));
  return socket;
}

function unreachable(address: Address, error: Error): DialError {
  return new DialError('upstream-unreachable', `${formatAddress(address)}: ${error.message}`);
}

function handshakeFailed(address: Address, error: NodeJS.ErrnoException): DialError {
  const broken = error.code === 'ECONNRESET' || error.code === 'EPIPE' || error.code === 'ETIMEDOUT';
  const text = error.message.replace(/^[0-9A-F]+:error:/, '').trim();
  return new DialError(broken ? 'upstream-unreachable' : 'upstream-identity', `${formatAddress(address)}: TLS handshake: ${text}`);
}

/** Waits for `event`; on error, early end or timeout destroys the socket and rejects with what `explain` makes of it. */
function established(socket: net.Socket, event: 'connect' | 'secureConnect', ms: number, explain: (error: Error) => DialError): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      clean();
      socket.destroy();
      reject(explain(error));
    };
    const closed = () => fail(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    const done = () => {
      clean();
      resolve();
    };
    const timer = setTimeout(() => fail(Object.assign(new Error(`no answer within ${ms / 1000} s`), { code: 'ETIMEDOUT' })), ms);
    const clean = () => {
      clearTimeout(timer);
      socket.off('error', fail).off('close', closed).off(event, done);
      // From here on errors are told by 'close'; without a listener they would end the process.
      socket.on('error', () => undefined);
    };
    socket.on('error', fail).on('close', closed).on(event, done);
  });
}
