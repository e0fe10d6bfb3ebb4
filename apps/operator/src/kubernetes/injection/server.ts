import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { Logger } from 'pino';
import { listen, stopListening } from '../../listening.ts';
import { type Answered, ReviewError } from './review.ts';

/** An object is 1.5 MiB at most in etcd, 3 MiB in a request; the review repeats its metadata. */
const MAX_BODY = 4 * 1024 * 1024;
const REQUEST_MS = 10_000;
/** Longer than the API server keeps an idle connection (90 s), so that it never sends into one that we just closed. */
const KEEP_ALIVE_MS = 120_000;
const MAX_CONNECTIONS = 512;
const TLS = { minVersion: 'TLSv1.3' } as const;

/** A certificate with its key, in PEM. */
export interface ServingPair {
  readonly key: string;
  readonly cert: string;
}

/** The webhook's HTTPS port. */
export interface WebhookServer {
  readonly port: number;
  /** Uses a new certificate for handshakes from now on; open connections go on. */
  renew(pair: ServingPair): void;
  close(): Promise<void>;
}

export interface WebhookServerOptions {
  readonly host: string;
  readonly port: number;
  readonly pair: ServingPair;
  /** @throws ReviewError for what is no review; anything else is a failure of ours */
  readonly answer: (review: unknown) => Answered;
  readonly log: Logger;
}

/**
 * Serves `POST /inject`. Whatever goes wrong is answered with an error of HTTP, never with a yes: what then becomes of the
 * pod is for the webhook's `failurePolicy` to say.
 *
 * @throws Error when the port is taken
 */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { host, port, pair, log } = options;
  const server = https.createServer({ ...TLS, ...pair, requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, handshakeTimeout: REQUEST_MS, keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: 16 * 1024 }, (request, response) => {
    serve(request, response, options).catch((error: unknown) => {
      log.warn({ error: error instanceof Error ? error.message : 'unknown' }, 'admission review failed');
      response.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', (error) => log.debug({ reason: error.message }, 'webhook: handshake failed'));
  return {
    port: await listen(server, host, port),
    renew: (next) => server.setSecureContext({ ...TLS, ...next }),
    close: () => stopListening(server),
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, { answer, log }: WebhookServerOptions): Promise<void> {
  // The API server appends ?timeout=5s.
  const [path] = (request.url ?? '').split('?');
  if (path !== '/inject') return reply(response, 404, 'POST /inject only');
  if (request.method !== 'POST') return reply(response, 405, 'POST only');
  if (!/^application\/json(;|$)/.test(request.headers['content-type'] ?? '')) return reply(response, 415, 'application/json only');
  const body = await bodyOf(request);
  if (body === null) return reply(response, 413, `at most ${MAX_BODY} bytes`);
  try {
    const { body: answered, ...said } = answer(JSON.parse(body));
    log.info(said, 'admission review');
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answered));
  } catch (error) {
    const bad = error instanceof ReviewError || error instanceof SyntaxError;
    const text = error instanceof Error ? error.message : 'unknown';
    log.warn({ error: text }, 'admission review not answered');
    reply(response, bad ? 400 : 500, text);
  }
}

/** The whole body, or null when it is too long. The rest is let go by, so that its sender gets to read the answer. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size <= MAX_BODY) parts.push(part);
  }
  return size > MAX_BODY ? null : Buffer.concat(parts).toString('utf8');
}

function reply(response: ServerResponse, status: number, text: string): void {
  // A body that was not read must not be taken for the next request.
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${text}\n`);
}
