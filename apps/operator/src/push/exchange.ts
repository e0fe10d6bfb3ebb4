import type { ServerHttp2Stream } from 'node:http2';
import type { z } from 'zod';

/** Answers one call. `proxy` is the caller's verified name, or '' on the join port. */
export type Handler = (stream: ServerHttp2Stream, proxy: string) => Promise<void>;

const MAX_BODY = 8 * 1024 * 1024;
const BODY_TIMEOUT_MS = 15_000;

/** A call that cannot be taken; `status` is what the proxy gets. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Reads and checks a JSON body of at most 8 MiB. @throws ExchangeError with 400, 408 or 413 */
export async function readBody<S extends z.ZodType>(stream: ServerHttp2Stream, schema: S): Promise<z.infer<S>> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => stream.destroy(), BODY_TIMEOUT_MS);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY) throw new ExchangeError(413, `body is larger than ${MAX_BODY} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new ExchangeError(400, 'body is not JSON');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ExchangeError(400, `${issue?.path.join('.') ?? 'body'}: ${issue?.message ?? 'is not valid'}`);
}

/** Sends a JSON answer. */
export function respond(stream: ServerHttp2Stream, body: unknown): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': 200, 'content-type': 'application/json' });
  stream.end(JSON.stringify(body));
}

/** What a call is refused with. `retryAfter` in seconds goes out with 429 and 503. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly retryAfter?: number;
}

/** Sends the protocol's error body. */
export function respondError(stream: ServerHttp2Stream, { status, code, message, retryAfter = 1 }: Refusal): void {
  if (stream.destroyed || stream.headersSent) return;
  const retry = status === 429 || status === 503 ? { 'retry-after': String(retryAfter) } : {};
  stream.respond({ ':status': status, 'content-type': 'application/json', ...retry });
  stream.end(JSON.stringify({ error: { code, message } }));
}
