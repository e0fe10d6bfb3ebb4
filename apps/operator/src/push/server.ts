import { constants } from 'node:crypto';
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { checkPeerLeaf, peerCertificate } from '@sallyport/shared/pki';
import type { Logger } from 'pino';
import type { TlsIdentity } from '../ca/operator-identity.ts';
import { listen } from '../listening.ts';
import { type Handler, type Refusal, respondError } from './exchange.ts';

/** TLS 1.3 only, and no tickets: a resumed session would skip the check of the peer's identity. */
const TLS = { minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET, sessionTimeout: 1 } as const;

/** One of the operator's two ports for proxies. */
export interface PushServer {
  readonly port: number;
  /** Uses a new SVID for handshakes from now on. */
  renew(identity: TlsIdentity): void;
  close(): Promise<void>;
}

interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: TlsIdentity;
  readonly routes: Readonly<Record<string, Handler>>;
  readonly trustDomain: string;
  /** Ask for, and insist on, a proxy's client certificate. */
  readonly mutual: boolean;
  readonly log: Logger;
}

/** Starts a port. @throws when the address is taken */
export async function startPushServer(options: ServerOptions): Promise<PushServer> {
  const client = options.mutual ? { requestCert: true, rejectUnauthorized: true } : {};
  const server = createSecureServer({ ...TLS, ...client, ...options.identity, settings: { maxConcurrentStreams: 64 } });
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', (error) => options.log.debug({ error: error.message }, 'proxy session failed'));
  });
  server.on('tlsClientError', (error) => options.log.warn({ reason: error.message }, 'proxy handshake refused'));
  server.on('sessionError', (error) => options.log.debug({ error: error.message }, 'proxy session failed'));
  server.on('stream', (stream, headers) => {
    stream.on('error', (error) => options.log.debug({ error: error.message }, 'proxy stream failed'));
    void serve(stream, String(headers[':method']), String(headers[':path']), options);
  });
  return {
    port: await listen(server, options.host, options.port),
    renew: (identity) => server.setSecureContext({ ...TLS, ...identity }),
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function serve(stream: ServerHttp2Stream, method: string, path: string, options: ServerOptions): Promise<void> {
  try {
    const handler = options.routes[`${method} ${path}`];
    if (!handler) {
      respondError(stream, { status: 404, code: 'not-found', message: `no such call: ${method} ${path}` });
      return;
    }
    const proxy = options.mutual ? callerOf(stream, options.trustDomain) : '';
    await handler(stream, proxy);
  } catch (error) {
    respondError(stream, classify(error, options.log));
  }
}

/** The proxy's name from its SVID. TLS validated the path; the leaf rules are ours to check. */
function callerOf(stream: ServerHttp2Stream, trustDomain: string): string {
  const socket = stream.session?.socket as TLSSocket | undefined;
  const certificate = socket && peerCertificate(socket);
  if (!certificate) throw new CallerError('no client certificate');
  const id = checkPeerLeaf(certificate.raw);
  const match = /^\/sallyport\/proxy\/([a-z0-9.-]+)$/.exec(id.path);
  if (id.trustDomain !== trustDomain || !match?.[1]) throw new CallerError(`${id.uri} is not a proxy of this trust domain`);
  return match[1];
}

/** The peer has a good certificate and is nobody who may call here. */
class CallerError extends Error {
  override readonly name = 'CallerError';
}

function classify(error: unknown, log: Logger): Refusal {
  if (error instanceof CallerError || (error instanceof Error && error.name === 'PeerLeafError')) return { status: 403, code: 'forbidden', message: error.message };
  if (error instanceof Error && 'status' in error && typeof error.status === 'number') {
    const retryAfter = 'retryAfter' in error && typeof error.retryAfter === 'number' ? { retryAfter: error.retryAfter } : {};
    return { status: error.status, code: 'refused', message: error.message, ...retryAfter };
  }
  log.error({ error: error instanceof Error ? error.message : 'unknown' }, 'call from a proxy failed');
  return { status: 503, code: 'unavailable', message: 'the operator cannot answer now; retry' };
}
