import type { ClientHttp2Stream } from 'node:http2';
import { z } from 'zod';
import type { ackRequest } from '@sallyport/shared/push';
import { Backoff, pause } from '../backoff.ts';
import type { Log } from '../telemetry/log.ts';
import { applyDelta, type ConfigProblem, type ConfigSet, type DeltaEnvelope, hashesOf, readDelta, RefusedConfigError } from './config-set.ts';
import { readLines } from './lines.ts';
import type { OperatorLink } from './operator-link.ts';

/** How long a bind that failed is left alone before the same configuration is tried again. */
const RETRY_APPLY_MS = 5_000;

/** Takes a complete set into use, all or nothing. @throws RefusedConfigError naming the entries that cannot be used */
type ApplyConfig = (set: ConfigSet, version: string) => Promise<void>;

export interface ConfigStreamOptions {
  readonly proxy: string;
  readonly link: OperatorLink;
  readonly apply: ApplyConfig;
  /** What runs already, from the last good file. */
  readonly initial: ConfigSet;
  /** Silence after which the connection counts as lost, in ms. The operator speaks at least every 10 s. */
  readonly idleLimit: number;
  readonly log: Log;
}

/** Follows the operator's configuration: subscribes, applies deltas in order, acknowledges, and comes back after a loss. */
export class ConfigStream {
  readonly #options: ConfigStreamOptions;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff();
  /** What the operator's next delta builds on. Differs from what runs after a NACK that asks for a resync. */
  #base: ConfigSet;
  #confirmedAt: number | null = null;
  /** True from a NACK to the next success: until then keep-alives confirm nothing. */
  #refused = false;
  #turn: Promise<unknown> = Promise.resolve();
  #stream: ClientHttp2Stream | null = null;
  #running: Promise<void> | null = null;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ConfigStreamOptions) {
    this.#options = options;
    this.#base = options.initial;
  }

  /** When the operator last confirmed the configuration, by a delta or a keep-alive; null before the first time. */
  get confirmedAt(): number | null {
    return this.#confirmedAt;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#retry);
    this.#stream?.destroy();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let problem = 'the operator ended it';
      try {
        await this.#follow();
      } catch (error) {
        problem = (error as Error).message;
      }
      clearTimeout(this.#retry);
      if (signal.aborted) return;
      const wait = this.#backoff.next();
      this.#options.log.warn({ reason: problem, retryInMs: wait }, 'configuration stream lost; the last good configuration stays in force');
      await pause(wait, signal);
    }
  }

  async #follow(): Promise<void> {
    const { link, proxy, idleLimit, log } = this.#options;
    const stream = await link.stream('/v1/config', { proxy, have: hashesOf(this.#base) });
    this.#stream = stream;
    if (this.#stop.signal.aborted) return void stream.destroy();
    // A silent connection is a dead one: break the whole link, since reports would hang on it too.
    const watchdog = setTimeout(() => {
      stream.destroy(new Error(`no byte from the operator for ${idleLimit / 1000} s`));
      link.reset();
    }, idleLimit);
    let status = 0;
    stream.once('response', (headers) => {
      status = headers[':status'] ?? 0;
      if (status !== 200) stream.destroy(new Error(`operator answered ${status} to the subscription`));
      else log.info('configuration stream open');
    });
    try {
      for await (const line of readLines(stream, () => watchdog.refresh())) await this.#take(line, stream);
    } finally {
      clearTimeout(watchdog);
      stream.destroy();
    }
  }

  async #take(line: string, stream: ClientHttp2Stream): Promise<void> {
    if (line.trim() === '') {
      this.#backoff.reset();
      if (!this.#refused) this.#confirmedAt = Date.now();
      return;
    }
    clearTimeout(this.#retry);
    const delta = readDelta(line);
    const resync = await this.#inTurn(delta);
    if (!resync) return;
    this.#base = new Map();
    stream.destroy(new Error('configuration differs from the operator’s; asking for all of it'));
  }

  /** One at a time: a retry and a new delta may come together. */
  #inTurn(delta: DeltaEnvelope): Promise<boolean> {
    const result = this.#turn.then(() => this.#tryApply(delta));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Applies and acknowledges one delta. @returns true when the operator's and our idea of the base differ */
  async #tryApply(delta: DeltaEnvelope): Promise<boolean> {
    const { apply, log } = this.#options;
    try {
      const next = applyDelta(this.#base, delta);
      await apply(next, delta.version);
      this.#base = next;
      this.#confirmedAt = Date.now();
      this.#refused = false;
      this.#backoff.reset();
      log.info({ version: delta.version, upserts: delta.upserts.length, removed: delta.removed.length }, 'configuration applied');
      await this.#acknowledge(delta, [], false);
      return false;
    } catch (error) {
      if (!(error instanceof RefusedConfigError)) throw error;
      this.#refused = true;
      log.error({ version: delta.version, problems: error.problems, resync: error.resync }, 'configuration refused; the old one stays in force');
      await this.#acknowledge(delta, error.problems, error.resync);
      if (!error.resync) this.#retryLater(delta);
      return error.resync;
    }
  }

  /** What failed for a reason outside the configuration, such as a port in use, may work later; the operator need not ask. */
  #retryLater(delta: DeltaEnvelope): void {
    this.#retry = setTimeout(() => {
      this.#inTurn(delta).catch((error: unknown) => this.#stream?.destroy(error as Error));
    }, RETRY_APPLY_MS);
    this.#retry.unref();
  }

  async #acknowledge(delta: DeltaEnvelope, problems: readonly ConfigProblem[], resync: boolean): Promise<void> {
    const errors = problems.slice(0, 100).map(({ name, message }) => ({ name: name.slice(0, 200), message: message.slice(0, 1000) }));
    const body: z.input<typeof ackRequest> = { nonce: delta.nonce, version: delta.version, errors, resync };
    await this.#options.link.post('/v1/ack', body, z.undefined());
  }
}
