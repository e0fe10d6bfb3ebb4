import { randomBytes } from 'node:crypto';
import { type ReportRequest, reportResponse } from '@sallyport/shared/push';
import { Backoff, pause } from '../backoff.ts';
import type { OperatorLink } from '../config-stream/operator-link.ts';
import { PushFailure } from '../config-stream/operator-session.ts';
import type { FlowCounter } from './flow-counter.ts';
import type { Log } from './log.ts';

/** Facts about the proxy that go with every report. */
type ReportContext = Pick<ReportRequest, 'svids' | 'configVersion' | 'configAgeSeconds'>;

export interface ReporterOptions {
  readonly link: Pick<OperatorLink, 'post'>;
  readonly counter: FlowCounter;
  /** Asked when a report is built. */
  readonly context: () => ReportContext;
  /** Called before the counts are taken. */
  readonly flush: () => void;
  /** Milliseconds between reports. */
  readonly interval: number;
  readonly log: Log;
}

/** Reports that may wait for the operator. Beyond that the counter goes on counting and the next report covers more time. */
const MAX_PENDING = 8;
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

interface PendingReport {
  readonly report: ReportRequest;
  readonly bytes: number;
}

/**
 * Delivers telemetry at least once and in order: every report is kept and sent again until the operator accepts it,
 * which deduplicates by (proxy, epoch, seq). Intervals are contiguous, so that a report which is missing leaves a hole.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #stop = new AbortController();
  readonly #pending: PendingReport[] = [];
  #bytes = 0;
  readonly #epoch = randomBytes(12).toString('hex');
  #seq = 0;
  #from = Date.now();
  /** Since when something is missing that no report has said yet. */
  #droppedFrom: number | null = null;
  #gaps = 0;
  #running: Promise<void> | null = null;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Number of reports that are not accepted yet. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Number of reports that were lost, or said that they are incomplete. */
  get gaps(): number {
    return this.#gaps;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the rhythm and makes one last report of everything counted; gives up after `deadline` ms. */
  async stop(deadline: number): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#build();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), deadline);
    await Promise.race([this.#deliver().catch(() => undefined), pause(deadline, limit.signal)]);
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    const { interval, log } = this.#options;
    const backoff = new Backoff();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(interval, signal);
      if (signal.aborted) return;
      if (this.#pending.length < MAX_PENDING && this.#bytes < MAX_PENDING_BYTES) this.#build();
      try {
        await this.#deliver();
        backoff.reset();
      } catch (error) {
        const wait = backoff.next(error instanceof PushFailure ? error.retryAfter : 0);
        log.warn({ pending: this.#pending.length, retryInMs: wait, reason: (error as Error).message }, 'telemetry not delivered; it is kept');
        await pause(wait, signal);
      }
    }
  }

  #build(): void {
    const { counter, context, flush } = this.#options;
    // First what may fail: what was drained is nowhere else.
    const about = context();
    flush();
    const { flows, denies, shadows, lost } = counter.drain();
    const to = Math.max(this.#from, Date.now());
    const droppedFrom = lost > 0 ? this.#from : this.#droppedFrom;
    if (lost > 0) this.#gaps += 1;
    this.#droppedFrom = null;
    this.#seq += 1;
    const report = { epoch: this.#epoch, seq: this.#seq, from: this.#from, to, droppedFrom, flows, denies, shadows, ...about };
    this.#from = to;
    const bytes = Buffer.byteLength(JSON.stringify(report));
    this.#pending.push({ report, bytes });
    this.#bytes += bytes;
  }

  async #deliver(): Promise<void> {
    for (let next = this.#pending[0]; next; next = this.#pending[0]) {
      try {
        await this.#options.link.post('/v1/report', next.report, reportResponse);
        this.#take();
      } catch (error) {
        if (!this.#settle(error)) throw error;
      }
    }
  }

  /** Deals with answers that sending again would not change. @returns true when delivery can go on */
  #settle(error: unknown): boolean {
    if (!(error instanceof PushFailure) || (error.status !== 400 && error.status !== 413)) return false;
    const dropped = this.#take();
    this.#gaps += 1;
    // The next report says so; one that is itself incomplete says that instead, and the hole before it speaks for itself.
    const next = this.#pending[0];
    if (next) this.#pending[0] = { ...next, report: { ...next.report, droppedFrom: next.report.droppedFrom ?? dropped?.from ?? null } };
    else this.#droppedFrom ??= dropped?.from ?? null;
    this.#options.log.error({ reason: error.message }, 'the operator refuses a report; it is dropped and the gap is reported');
    return true;
  }

  #take(): ReportRequest | undefined {
    const first = this.#pending.shift();
    this.#bytes -= first?.bytes ?? 0;
    return first?.report;
  }
}
