import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { z } from 'zod';

/** What became of a batch. `reason` is for people, '' when there is nothing to say. */
export type OtlpOutcome =
  | { readonly kind: 'taken'; readonly rejected: number; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'later'; readonly retryAfter: number; readonly reason: string };

/** OTLP/HTTP, "Failures": these may be tried again, all others must not be. */
const RETRYABLE = new Set([429, 502, 503, 504]);
const REQUEST_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_RETRY_AFTER_MS = 60_000;

const answerSchema = z.object({
  partialSuccess: z.object({ rejectedSpans: z.coerce.number().int().min(0).default(0), errorMessage: z.string().default('') }).optional(),
});

/** Posts batches of spans to one endpoint, as JSON. */
export class OtlpClient {
  readonly #url: URL;
  readonly #agent: http.Agent;

  /** @param endpoint "OTEL_EXPORTER_OTLP_ENDPOINT: base URL; v1/traces is appended". @param ca roots for https, null for the usual ones */
  constructor(endpoint: URL, ca: Buffer | null) {
    this.#url = new URL(`${endpoint.pathname.replace(/\/$/, '')}/v1/traces`, endpoint);
    const options = { keepAlive: true, maxSockets: 1 };
    this.#agent = endpoint.protocol === 'https:' ? new https.Agent(ca === null ? options : { ...options, ca }) : new http.Agent(options);
  }

  /** Sends one batch. @throws Error when there was no answer */
  async post(body: string, headers: Readonly<Record<string, string>>): Promise<OtlpOutcome> {
    const answer = await this.#exchange(body, headers);
    const status = answer.statusCode ?? 0;
    const text = await textOf(answer);
    if (status >= 200 && status <= 299) return taken(text);
    const reason = `${this.#url.origin} answered ${status}`;
    return RETRYABLE.has(status) ? { kind: 'later', retryAfter: retryAfter(answer), reason } : { kind: 'refused', reason };
  }

  close(): void {
    this.#agent.destroy();
  }

  #exchange(body: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const own = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
      const request = (this.#url.protocol === 'https:' ? https : http).request(this.#url, { method: 'POST', agent: this.#agent, headers: { ...headers, ...own }, signal: AbortSignal.timeout(REQUEST_MS) }, resolve);
      request.once('error', (error) => reject(new Error(`cannot reach ${this.#url.origin}: ${error.message}`)));
      request.end(body);
    });
  }
}

/** The answer's text; longer ones are cut, since nothing of ours is in their end. */
async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) if (text.length < MAX_ANSWER_BYTES) text += chunk.toString('utf8');
  return text;
}

/** "partial success": the server tells how many it did not want, and they must not be sent again. */
function taken(text: string): OtlpOutcome {
  let value: unknown = {};
  try {
    value = JSON.parse(text);
  } catch {
    // An empty or foreign body beside a 2xx: the batch was taken.
  }
  const partial = answerSchema.safeParse(value).data?.partialSuccess;
  if (!partial) return { kind: 'taken', rejected: 0, reason: '' };
  return { kind: 'taken', rejected: partial.rejectedSpans, reason: partial.rejectedSpans === 0 ? '' : `the endpoint took part of a batch: ${partial.errorMessage.slice(0, 200)}` };
}

/** Seconds only; the form with a date is not worth trusting two clocks for. */
function retryAfter(answer: IncomingMessage): number {
  const seconds = Number(answer.headers['retry-after'] ?? 0);
  return Number.isFinite(seconds) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, seconds * 1000)) : 0;
}
