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
 * which deduplicates by (proxy, epoch, seq). Intervals are contiguous; a gap is said in `droppedFrom`.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #stop = new AbortController();
  readonly #pending: PendingReport[] = [];
  #bytes = 0;
  #epoch = newEpoch();
  #seq = 0;
  #from = Date.now();
  #droppedFrom: number | null = null;
  #running: Promise<void> | null = null;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Number of reports that are not accepted yet. */
  get pending(): number {
    return this.#pending.length;
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
    flush();
    const { flows, denies, shadows, lost } = counter.drain();
    const to = Math.max(this.#from, Date.now());
    const droppedFrom = this.#droppedFrom ?? (lost ? this.#from : null);
    this.#droppedFrom = null;
    this.#seq += 1;
    const report = { epoch: this.#epoch, seq: this.#seq, from: this.#from, to, droppedFrom, flows, denies, shadows, ...context() };
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
    if (!(error instanceof PushFailure)) return false;
    if (error.status === 409) {
      this.#renumber();
      return false;
    }
    if (error.status !== 400 && error.status !== 413) return false;
    const dropped = this.#take();
    this.#droppedFrom ??= dropped?.from ?? null;
    this.#renumber();
    this.#options.log.error({ reason: error.message }, 'the operator refuses a report; it is dropped and the gap is reported');
    return true;
  }

  #take(): ReportRequest | undefined {
    const first = this.#pending.shift();
    this.#bytes -= first?.bytes ?? 0;
    return first?.report;
  }

  /** Starts a new epoch, in which what is still pending counts from 1: the operator expects no gap in `seq`. */
  #renumber(): void {
    this.#epoch = newEpoch();
    this.#seq = 0;
    const droppedFrom = this.#droppedFrom;
    const rest = this.#pending.splice(0);
    for (const { report, bytes } of rest) {
      this.#seq += 1;
      const gap = this.#seq === 1 ? (report.droppedFrom ?? droppedFrom) : report.droppedFrom;
      this.#pending.push({ report: { ...report, epoch: this.#epoch, seq: this.#seq, droppedFrom: gap }, bytes });
    }
    if (rest.length > 0) this.#droppedFrom = null;
  }
}

function newEpoch(): string {
  return randomBytes(12).toString('hex');
}
