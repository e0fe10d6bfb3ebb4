import fs from 'node:fs';
import type { Clock } from './clock.ts';
import type { Exposition } from './exposition.ts';
import type { Log } from './log.ts';
import { FILE_PIECE, LineWriter, PIPE_PIECE } from './line-writer.ts';
import type { Series } from './series.ts';

/** One call as the access log tells it. Times are readings of `performance.now()`. */
export interface LoggedCall {
  /** A connection has a line when it opens and one when it closes; a request has one when it is answered. */
  readonly event: 'request' | 'open' | 'close';
  readonly series: Series;
  /** The normalised path, which never has a query. */
  readonly path: string | null;
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  readonly traceId: string | null;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Null when nobody measured. */
  readonly startedAt: number | null;
  readonly endedAt: number;
}

/** Keeps a line well below 4 KiB, whatever is in it. */
const MAX_PATH = 512;

/** The access log: a line of JSON for each call, or for a share of the allowed ones. */
export class AccessLog {
  readonly #sample: number;
  readonly #clock: Clock;
  readonly #proxy: string;
  readonly #writer: LineWriter;
  #at = -1;
  #text = '';

  /** @param to `stdout` or a file's path. @param sample share of the allowed calls; all others are always told. @throws Error naming the file that cannot be opened */
  constructor(to: string, sample: number, proxy: string, clock: Clock, log: Log) {
    this.#sample = sample;
    this.#clock = clock;
    this.#proxy = JSON.stringify(proxy);
    this.#writer = to === 'stdout' ? new LineWriter(() => 1, 'standard output', PIPE_PIECE, log) : new LineWriter(() => open(to), to, FILE_PIECE, log);
  }

  /** Tells a call, or leaves it out by chance. */
  add(call: LoggedCall): void {
    const { verdict } = call.series.facts;
    if (verdict === 'allowed' && this.#sample < 1 && Math.random() >= this.#sample) return;
    this.#writer.write(this.#line(call));
  }

  /** Opens the file anew, after it was moved away. */
  reopen(): void {
    this.#writer.reopen();
  }

  /** Writes what is waiting; gives up after `deadline` ms. */
  async close(deadline: number): Promise<void> {
    await this.#writer.close(deadline);
  }

  write(to: Exposition): void {
    to.single('sallyport_proxy_access_log_dropped_total', 'counter', 'Lines of the access log that had no room or could not be written.', this.#writer.dropped);
  }

  /** By hand: what is the same for every call of a series is made once, and numbers need no escaping. */
  #line(call: LoggedCall): string {
    const { event, series, startedAt, endedAt, traceId } = call;
    const duration = startedAt === null ? null : Math.round((endedAt - startedAt) * 1000) / 1000;
    const at = this.#timeText(this.#clock.wall(endedAt));
    const path = call.path === null ? 'null' : JSON.stringify(call.path.slice(0, MAX_PATH));
    series.logged ??= this.#common(series);
    return `{"log":"access","event":"${event}","time":"${at}",${series.logged},"path":${path},"status":${call.status || 'null'},"durationMs":${duration},"bytesReceived":${call.bytesReceived},"bytesSent":${call.bytesSent},"traceId":${traceId === null ? 'null' : `"${traceId}"`}}\n`;
  }

  /** Under load many calls end in the same millisecond. */
  #timeText(at: number): string {
    if (at !== this.#at) this.#text = new Date(at).toISOString();
    this.#at = at;
    return this.#text;
  }

  #common({ facts }: Series): string {
    const { side, source, destination, protocol, method, mtls, verdict, reason, policy } = facts;
    const { namespace, workload, service, port } = destination;
    const common = { side, principal: source.principal, ip: source.ip, namespace, workload, service, port, protocol, method, mtls, verdict, reason, policy };
    return `"proxy":${this.#proxy},${JSON.stringify(common).slice(1, -1)}`;
  }
}

function open(path: string): number {
  try {
    // O_APPEND: a line goes to the end of the file also after somebody cut it short, and beside other writers.
    return fs.openSync(path, 'a', 0o600);
  } catch (error) {
    throw new Error(`cannot open the access log ${path}: ${(error as Error).message}; set SALLYPORT_ACCESS_LOG to a file that can be written`, { cause: error });
  }
}
