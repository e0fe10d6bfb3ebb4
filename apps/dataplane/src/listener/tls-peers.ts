import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { Credentials } from '../identity/credentials.ts';
import { chainProblem, workloadIdentity } from '../identity/peer.ts';

export interface TlsPeersOptions {
  /** How long a handshake may take, in ms. */
  readonly handshake: number;
  readonly alpn: readonly string[] | null;
  readonly verified: (socket: tls.TLSSocket, principal: string, ip: string) => void;
  /** A peer that is not who it must be; the connection is destroyed already. */
  readonly refused: (ip: string, reason: string) => void;
}

/** Mutual TLS 1.3 under a workload's SVID with whoever connects. Follows the SVID as it is renewed. */
export class TlsPeers {
  readonly #options: TlsPeersOptions;
  #credentials: Credentials;
  #tls: tls.Server | null = null;
  #unsubscribe: () => void = () => undefined;

  constructor(credentials: Credentials, options: TlsPeersOptions) {
    this.#options = options;
    this.#credentials = credentials;
    this.follow(credentials);
  }

  follow(credentials: Credentials): void {
    this.#unsubscribe();
    this.#credentials = credentials;
    const renew = () => {
      const options = credentials.options();
      if (options) this.#tls?.setSecureContext(options);
      else this.#tls = null;
    };
    this.#unsubscribe = credentials.onChange(renew);
    renew();
  }

  stop(): void {
    this.#unsubscribe();
  }

  /** Begins a handshake. False when there is no SVID to do it with. */
  secure(raw: Socket): boolean {
    const server = this.#server();
    server?.emit('connection', raw);
    return server !== null;
  }

  /** Always `tls.Server`: a bare TLSSocket does not enforce client certificates (research/identity-pki.md §3c). */
  #server(): tls.Server | null {
    if (this.#tls) return this.#tls;
    const options = this.#credentials.options();
    if (!options) return null;
    const alpn = this.#options.alpn ? { ALPNProtocols: [...this.#options.alpn] } : {};
    const server = tls.createServer({ ...options, ...alpn, requestCert: true, rejectUnauthorized: true, handshakeTimeout: this.#options.handshake });
    server.on('secureConnection', (socket) => this.#verified(socket));
    server.on('tlsClientError', (error, socket) => this.#failed(socket, error));
    this.#tls = server;
    return server;
  }

  #verified(socket: tls.TLSSocket): void {
    socket.on('error', () => undefined);
    const ip = plainIp(socket.remoteAddress);
    const { alpn, refused, verified } = this.#options;
    try {
      const id = workloadIdentity(socket, this.#credentials.trust);
      // RFC 9113 §3.2: "Implementations that support HTTP/2 over TLS MUST use protocol negotiation in TLS".
      if (alpn && !alpn.includes(String(socket.alpnProtocol))) throw new Error(`peer ${id.uri} does not speak ${alpn.join()}`);
      verified(socket, id.uri, ip);
    } catch (error) {
      socket.destroy();
      refused(ip, (error as Error).message);
    }
  }

  #failed(socket: tls.TLSSocket, error: NodeJS.ErrnoException): void {
    const reason = refusalReason(socket, error);
    socket.destroy();
    // A peer that went away in the middle proves nothing and was not refused.
    if (reason !== null) this.#options.refused(addressOf(socket), reason);
  }
}

/** Why OpenSSL or Node refused the peer, or null when the peer merely left. */
function refusalReason(socket: tls.TLSSocket, error: NodeJS.ErrnoException): string | null {
  // Node destroys a socket whose chain fails and reports a reset; the reason stays here.
  const verification = socket.authorizationError as Error | string | null;
  if (verification) return chainProblem(verification instanceof Error ? verification.message : verification);
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return null;
  return (error.code ?? error.message).slice(0, 200);
}

/** The peer's address; after the socket was destroyed only the wrapped one remembers it (no public way in Node 24). */
function addressOf(socket: tls.TLSSocket): string {
  const wrapped = (socket as { _parent?: Socket | null })._parent;
  return plainIp(socket.remoteAddress ?? wrapped?.remoteAddress);
}

export function plainIp(address: string | undefined): string {
  return (address ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
}
