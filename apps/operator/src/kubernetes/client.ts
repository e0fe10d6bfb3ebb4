import type { KubeConfig } from '@kubernetes/client-node';
import type { ClientRequest, IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { text as readText } from 'node:stream/consumers';
import { z } from 'zod';

const REQUEST_MS = 30_000;
/** One object may be 1.5 MiB in etcd; a page of a list holds many. */
const MAX_ANSWER = 64 * 1024 * 1024;
const MAX_TRIES = 6;
const IDLE_SOCKET_MS = 30_000;
const MAX_WAIT_MS = 30_000;

/** meta/v1 `Status`: what the API server says when it does not do what was asked. */
const statusBody = z.object({
  message: z.string().default(''),
  reason: z.string().default(''),
  code: z.number().default(0),
  details: z.object({ causes: z.array(z.object({ reason: z.string().default(''), message: z.string().default(''), field: z.string().default('') })).default([]) }).partial().optional(),
});

/** A refusal by the API server. `status` is that of HTTP, 0 when nothing was answered. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly { readonly reason: string; readonly message: string; readonly field: string }[];
  /** How long the server asks to wait, in ms; null when it does not. */
  readonly retryAfter: number | null;

  constructor(status: number, body: string, retryAfter: string | undefined) {
    const parsed = statusBody.safeParse(safeJson(body));
    super(parsed.success && parsed.data.message !== '' ? parsed.data.message : `the API server answers ${status}`);
    this.status = status;
    this.reason = parsed.success ? parsed.data.reason : '';
    this.causes = parsed.success ? (parsed.data.details?.causes ?? []) : [];
    this.retryAfter = retryAfter !== undefined && /^\d{1,5}$/.test(retryAfter) ? Number(retryAfter) * 1000 : null;
  }
}

export interface KubeRequest {
  readonly method: 'GET' | 'PATCH' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  /** For one try; 30 s unless told. */
  readonly timeoutMs?: number;
  /** How often it is tried in all; six times unless told. */
  readonly tries?: number;
  /** Ends it, and the waits between tries. */
  readonly signal?: AbortSignal;
}

/**
 * Raw JSON to and from the API server. `@kubernetes/client-node` gives address, TLS and credentials (tokens are read anew
 * as their files change); its typed models drop fields that they do not know, and its watches stop for good
 * (operator-kubernetes.md §2), so neither is used here.
 */
export class KubeClient {
  readonly #config: KubeConfig;
  readonly #server: URL;
  readonly #streams = new Set<IncomingMessage>();
  /** Keeps connections for the next request; the server closes idle ones much later than this does. */
  readonly #agent = new https.Agent({ keepAlive: true, timeout: IDLE_SOCKET_MS });

  /** @throws Error when the configuration names no cluster */
  constructor(config: KubeConfig) {
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) throw new Error('the kubeconfig names no cluster. Remedy: set KUBECONFIG or run in a pod with a service account');
    this.#config = config;
    this.#server = new URL(server);
  }

  /**
   * One request. Answers that ask to come again (429, 503 with Retry-After) and connections that broke before an answer are
   * tried again, when the request may be repeated, for as many as six times.
   *
   * @returns the parsed body
   * @throws KubeError
   */
  async request(request: KubeRequest): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(request);
      } catch (error) {
        const wait = error instanceof KubeError && request.signal?.aborted !== true ? retryIn(error, request, attempt) : null;
        if (wait === null) throw error;
        await delay(wait, undefined, { signal: request.signal });
      }
    }
  }

  /**
   * The lines of an answer that goes on, each parsed. Ends when the server ends it or the connection breaks.
   *
   * @throws KubeError when it is refused, or when nothing comes for `idle` ms
   */
  async *lines(path: string, query: KubeRequest['query'], idle: number, signal: AbortSignal): AsyncGenerator {
    const silent = () => new KubeError(0, JSON.stringify({ message: `the API server said nothing for ${idle} ms` }), undefined);
    const answer = await this.#send({ method: 'GET', path, ...(query ? { query } : {}) }, signal, (sent) => sent.setTimeout(idle, () => sent.destroy(silent())));
    if (answer.statusCode !== 200) throw new KubeError(answer.statusCode ?? 0, await bounded(answer), answer.headers['retry-after']);
    this.#streams.add(answer);
    answer.setTimeout(idle, () => answer.destroy(silent()));
    let rest = '';
    try {
      for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        if (rest.length > MAX_ANSWER) throw new KubeError(0, 'a line that does not end', undefined);
        for (const line of parts) if (line !== '') yield JSON.parse(line);
      }
    } catch (error) {
      if (error instanceof KubeError || (!signal.aborted && !isCut(error))) throw error;
    } finally {
      this.#streams.delete(answer);
      answer.destroy();
    }
  }

  /** Cuts every stream that is open, as a broken network would. */
  breakStreams(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  async #once(request: KubeRequest): Promise<unknown> {
    const { status, body, retryAfter } = await this.#exchange(request).catch((error: unknown) => {
      if (error instanceof KubeError) throw error;
      throw new KubeError(0, JSON.stringify({ message: `the API server was not reached: ${error instanceof Error ? error.message : 'unknown'}` }), undefined);
    });
    if (status < 200 || status >= 300) throw new KubeError(status, body, retryAfter);
    return safeJson(body);
  }

  async #exchange(request: KubeRequest): Promise<{ status: number; body: string; retryAfter: string | undefined }> {
    const limit = AbortSignal.timeout(request.timeoutMs ?? REQUEST_MS);
    const answer = await this.#send(request, request.signal ? AbortSignal.any([limit, request.signal]) : limit);
    return { body: await bounded(answer), status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'] };
  }

  async #send({ method, path, query, body, contentType }: KubeRequest, signal: AbortSignal, prepare?: (sent: ClientRequest) => void): Promise<IncomingMessage> {
    const url = new URL(`${this.#server.pathname.replace(/\/$/, '')}${path}`, this.#server);
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value));
    const options: RequestOptions = { method, headers: { accept: 'application/json' }, signal };
    await this.#config.applyToHTTPSOptions(options);
    // It made an agent for this one request; where no proxy is in the way, ours keeps the connection.
    if (this.#config.getCurrentCluster()?.proxyUrl === undefined) options.agent = this.#agent;
    const payload = body === undefined ? null : JSON.stringify(body);
    return await new Promise((resolve, reject) => {
      const sent = https.request(url, options, resolve);
      sent.on('error', reject);
      prepare?.(sent);
      if (payload !== null) sent.setHeader('content-type', contentType ?? 'application/json').setHeader('content-length', Buffer.byteLength(payload));
      sent.end(payload ?? undefined);
    });
  }
}

/** How long to wait before a request is sent again, in ms; null when it is not to be. */
function retryIn(error: KubeError, { method, tries = MAX_TRIES }: KubeRequest, attempt: number): number | null {
  if (attempt >= tries) return null;
  const backoff = Math.min(MAX_WAIT_MS, 100 * 2 ** attempt) * (0.5 + Math.random() / 2);
  // API Priority and Fairness: a request that was turned away was not begun, whatever it was.
  if (error.status === 429 || (error.status === 503 && error.retryAfter !== null)) return Math.min(MAX_WAIT_MS, Math.max(error.retryAfter ?? 0, backoff));
  const repeatable = method !== 'POST';
  return repeatable && (error.status === 0 || error.status >= 500) ? backoff : null;
}

function isCut(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR' || (error as Error).message === 'aborted';
}

async function bounded(answer: IncomingMessage): Promise<string> {
  let size = 0;
  answer.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_ANSWER) answer.destroy(new KubeError(0, JSON.stringify({ message: 'an answer of more than 64 MiB' }), undefined));
  });
  return await readText(answer);
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
