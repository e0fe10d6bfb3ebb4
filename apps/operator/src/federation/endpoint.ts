import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import https from 'node:https';
import { type SpiffeBundle, writeSpiffeBundle } from '@sallyport/shared/pki';
import type { Logger } from 'pino';
import type { TlsIdentity } from '../ca/operator-identity.ts';
import { listen, stopListening } from '../listening.ts';

const REQUEST_MS = 10_000;
const MAX_CONNECTIONS = 256;

/** Files with the certificate of a public CA for the endpoint's host name. */
export interface WebCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface BundleEndpointOptions {
  readonly host: string;
  readonly port: number;
  /** With it the profile is `https_web`; without, `https_spiffe` by the operator's own SVID. */
  readonly web: WebCertificate | null;
  readonly identity: TlsIdentity;
  /** Null when workloads get their identities elsewhere: our roots vouch for none, and must not be taken for the trust domain's. */
  readonly bundle: () => SpiffeBundle | null;
  readonly log: Logger;
}

/** Where other trust domains fetch our bundle (SPIFFE Federation §5.1): GET, JSON, and nobody has to say who they are. */
export interface BundleEndpoint {
  readonly port: number;
  /** Uses a new SVID, or reads the files again, for handshakes from now on. */
  renew(identity: TlsIdentity): void;
  close(): Promise<void>;
}

/** @throws Error when the address is taken or a file cannot be read */
export async function startBundleEndpoint(options: BundleEndpointOptions): Promise<BundleEndpoint> {
  const { host, port, web, identity, bundle, log } = options;
  const server = https.createServer({ ...pairOf(web, identity), minVersion: 'TLSv1.2', requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, handshakeTimeout: REQUEST_MS }, (request, response) => {
    const path = new URL(request.url ?? '/', 'https://localhost').pathname;
    if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405, { allow: 'GET, HEAD' }).end();
    else if (path !== '/') response.writeHead(404).end();
    else answer(response, request.method, bundle());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', (error) => log.debug({ reason: error.message }, 'bundle endpoint: handshake failed'));
  return {
    port: await listen(server, host, port),
    renew: (next) => server.setSecureContext({ ...pairOf(web, next), minVersion: 'TLSv1.2' }),
    close: () => stopListening(server),
  };
}

function answer(response: ServerResponse, method: string, bundle: SpiffeBundle | null): void {
  const text = bundle ? writeSpiffeBundle(bundle) : 'the identities of this trust domain come from SPIRE; fetch the bundle from its endpoint\n';
  response.writeHead(bundle ? 200 : 503, { 'content-type': bundle ? 'application/json' : 'text/plain', 'cache-control': 'no-cache' }).end(method === 'HEAD' ? undefined : text);
}

function pairOf(web: WebCertificate | null, { key, cert }: TlsIdentity): { key: string; cert: string } {
  return web ? { key: readFileSync(web.keyFile, 'utf8'), cert: readFileSync(web.certificateFile, 'utf8') } : { key, cert };
}
