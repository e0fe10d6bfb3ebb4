import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Backoff, pause } from '../backoff.ts';
import type { OtlpConfig } from '../config.ts';
import type { Clock } from './clock.ts';
import type { Exposition } from './exposition.ts';
import type { Log } from './log.ts';
import { OtlpClient, type OtlpOutcome } from './otlp-client.ts';
import { ownText } from './path-shape.ts';
import { attributes, encodeSpan, type Span } from './span.ts';

const MAX_QUEUE = 2_048;
const MAX_BATCH = 512;
const MAX_ATTEMPTS = 5;
const INTERVAL_MS = 1_000;
const MAX_HEADERS_BYTES = 16 * 1024;

/** Sends spans by OTLP over HTTP in batches. The queue is bounded: what has no room, or cannot be delivered, is counted and gone. */
export class SpanExporter {
  readonly #config: OtlpConfig;
  readonly #client: OtlpClient;
  readonly #resource: object;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #queue: Span[] = [];
  #wake: AbortController | null = null;
  #running: Promise<void> | null = null;
  #exported = 0;
  readonly #dropped = { 'queue-full': 0, refused: 0, undelivered: 0 };

  /** @throws Error naming the file of certificates when it cannot be read */
  constructor(config: OtlpConfig, resource: Readonly<Record<string, string>>, clock: Clock, log: Log) {
    this.#config = config;
    this.#client = new OtlpClient(config.endpoint, config.certificateFile === null ? null : readFileSync(config.certificateFile));
    this.#resource = { attributes: attributes(resource) };
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes a span that ended. */
  add(span: Span): void {
    if (this.#queue.length >= MAX_QUEUE) {
      this.#dropped['queue-full'] += 1;
      return;
    }
    this.#queue.push(kept(span));
    if (this.#queue.length >= MAX_BATCH) this.#wake?.abort();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Makes one last attempt at everything that waits; gives up after `deadline` ms. */
  async stop(deadline: number): Promise<void> {
    this.#stop.abort();
    this.#wake?.abort();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), deadline);
    await Promise.race([this.#finish(), pause(deadline, limit.signal)]);
    clearTimeout(timer);
    this.#client.close();
  }

  write(to: Exposition): void {
    to.single('sallyport_proxy_spans_exported_total', 'counter', 'Spans that the OTLP endpoint took.', this.#exported);
    to.family('sallyport_proxy_spans_dropped_total', 'counter', 'Spans that reached nobody, by why.');
    for (const [reason, count] of Object.entries(this.#dropped)) to.sample('sallyport_proxy_spans_dropped_total', `reason="${reason}"`, count);
  }

  async #finish(): Promise<void> {
    await this.#running;
    while (this.#queue.length > 0) await this.#deliver();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      if (this.#queue.length < MAX_BATCH) await pause(INTERVAL_MS, this.#wake.signal);
      if (this.#queue.length > 0) await this.#deliver();
    }
  }

  /** Sends the oldest batch, again while that may help. While it is not delivered, it takes its part of the queue's room. */
  async #deliver(): Promise<void> {
    const batch = this.#queue.slice(0, MAX_BATCH);
    const body = JSON.stringify({ resourceSpans: [{ resource: this.#resource, scopeSpans: [{ scope: { name: 'sallyport.dataplane' }, spans: batch.map((span) => encodeSpan(span, this.#clock)) }] }] });
    const backoff = new Backoff();
    let outcome: OtlpOutcome = await this.#attempt(body);
    for (let attempt = 2; attempt <= MAX_ATTEMPTS && outcome.kind === 'later' && !this.#stop.signal.aborted; attempt += 1) {
      await pause(backoff.next(outcome.retryAfter), this.#stop.signal);
      outcome = await this.#attempt(body);
    }
    this.#queue.splice(0, batch.length);
    this.#settle(batch.length, outcome);
  }

  async #attempt(body: string): Promise<OtlpOutcome> {
    try {
      return await this.#client.post(body, await this.#headers());
    } catch (error) {
      return { kind: 'later', retryAfter: 0, reason: (error as Error).message };
    }
  }

  #settle(size: number, outcome: OtlpOutcome): void {
    const rejected = outcome.kind === 'taken' ? Math.min(size, outcome.rejected) : 0;
    if (outcome.kind === 'taken') {
      this.#exported += size - rejected;
      this.#dropped.refused += rejected;
    } else this.#dropped[outcome.kind === 'refused' ? 'refused' : 'undelivered'] += size;
    if (outcome.reason !== '') this.#log.warn({ spans: rejected || size, reason: outcome.reason }, 'spans not delivered; they are dropped');
  }

  /** Read each time, so that a token can be replaced. Lines of `name: value`. */
  async #headers(): Promise<Record<string, string>> {
    const { headersFile } = this.#config;
    if (headersFile === null) return {};
    const text = await readFile(headersFile, 'utf8');
    if (text.length > MAX_HEADERS_BYTES) throw new Error(`${headersFile} is longer than ${MAX_HEADERS_BYTES} bytes`);
    const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    return Object.fromEntries(lines.map((line, index) => headerOf(line, `${headersFile}, line ${index + 1}`)));
  }
}

/** With texts of its own: those that were cut from a request's head would keep all heads of the queue in memory. */
function kept({ trace, facts, ...rest }: Span): Span {
  const ids = { ...trace, traceId: ownText(trace.traceId), parentId: ownText(trace.parentId), header: '' };
  return { ...rest, trace: ids, facts: { ...facts, method: ownText(facts.method), path: ownText(facts.path) } };
}

/** @throws Error naming the place, and never the value, which is a secret */
function headerOf(line: string, place: string): [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e]*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`${place}: must be "name: value"`);
  return [name.toLowerCase(), value];
}
