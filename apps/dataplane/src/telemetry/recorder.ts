import type { FlowReason } from '@sallyport/shared/mesh';
import type { ShadowMatch } from '@sallyport/shared/policy';
import type { LimitName } from '../listener/limits.ts';
import type { AccessLog } from './access-log.ts';
import type { Clock } from './clock.ts';
import { ConnectionSpan, type ConnectionTrace } from './connection-span.ts';
import type { FlowAmounts, FlowCounter, FlowFacts } from './flow-counter.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { Series } from './series.ts';
import type { SpanExporter } from './span-exporter.ts';
import { type CallTrace, Tracer } from './trace.ts';

/** One call, as the rooms on the hot path tell it when it is over. What is left out is not known. */
export interface CountedCall {
  readonly facts: FlowFacts;
  readonly amounts: FlowAmounts;
  /** The trace that the call belongs to. A call without one has no span. */
  readonly trace?: CallTrace;
  /** When it began, by `performance.now()`. */
  readonly startedAt?: number;
  /** Status that the caller got. */
  readonly status?: number;
  /** Address that the call went to, on the calling side. */
  readonly peer?: string;
}

/** A TCP connection or switched protocol that ended. It was counted by `record` when it began. */
export interface EndedConnection {
  readonly facts: FlowFacts;
  /** When it began, by `performance.now()`. */
  readonly startedAt: number;
  /** Bytes of its whole life; those since the last `moved` are told by that. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** True when it was broken because it was not allowed any more. */
  readonly denied?: boolean;
  readonly trace?: ConnectionTrace;
}

export interface RecorderOptions {
  readonly counter: FlowCounter;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  /** Null when there is none. */
  readonly accessLog: AccessLog | null;
  readonly spans: SpanExporter | null;
  /** Share of the traces that begin here which have spans. */
  readonly traceSample: number;
}

/** The single place where a call becomes a count, a metric, a span, a deny event and a line of the access log. */
export class Recorder {
  /** Continues and begins traces. */
  readonly tracer: Tracer;
  readonly #counter: FlowCounter;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #accessLog: AccessLog | null;
  readonly #spans: SpanExporter | null;
  /** Asked once: objects for lines that nobody reads cost more than all counting. */
  readonly #debug: boolean;
  /** Open connections that want to report the bytes they moved before a drain. */
  readonly #open = new Set<() => void>();

  constructor({ counter, metrics, clock, log, accessLog, spans, traceSample }: RecorderOptions) {
    this.#counter = counter;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
    this.#accessLog = accessLog;
    this.#spans = spans;
    this.#debug = log.isLevelEnabled('debug');
    this.tracer = new Tracer(spans === null ? null : traceSample);
  }

  /** Counts a finished call, or the start of a connection. */
  record(call: CountedCall): void {
    const { facts, amounts, trace, startedAt, status = 0 } = call;
    const endedAt = performance.now();
    const wall = this.#clock.wall(endedAt);
    const series = this.#add(facts, amounts, wall);
    series.red ??= this.#metrics.seriesOf(facts);
    series.red.count(amounts.count, status);
    if (startedAt !== undefined) series.red.observe(endedAt - startedAt);
    this.#metrics.moved(facts.side, amounts);
    const traceId = trace?.traceId ?? null;
    if (trace !== undefined && trace.spanId !== null) this.#span(call, trace, series, endedAt);
    if (this.#accessLog !== null) {
      const { bytesReceived, bytesSent } = amounts;
      const event = facts.protocol === 'tcp' ? 'open' : 'request';
      this.#accessLog.add({ event, series, path: facts.path, status, traceId, bytesReceived, bytesSent, startedAt: startedAt ?? null, endedAt });
    }
    if (facts.side === 'inbound' && facts.reason !== null && isRefusal(facts)) this.#deny(facts, facts.reason, traceId, wall);
    else if (this.#debug) this.#log.debug(line(facts, traceId), 'call');
  }

  /** The span of a connection that is none of HTTP: its bytes carry no trace to continue. */
  connectionSpan(): ConnectionSpan {
    return new ConnectionSpan(this.#spans === null ? null : this.tracer.begin(null));
  }

  /** Reports what policies that do not decide would have said to a call. */
  shadow(matches: readonly ShadowMatch[], { namespace, workload, port }: FlowFacts['destination']): void {
    if (workload === null) return;
    for (const { policy, action, rule } of matches) {
      this.#counter.shadow({ policy, action, rule, namespace, workload, port });
      this.#metrics.shadow(policy, action);
      if (this.#debug) this.#log.debug({ policy, action, rule, namespace, workload, port }, 'shadow match');
    }
  }

  /** Adds bytes to a call that is counted already. */
  moved(facts: FlowFacts, bytesReceived: number, bytesSent: number): void {
    if (bytesReceived === 0 && bytesSent === 0) return;
    const amounts = { count: 0, bytesReceived, bytesSent };
    this.#add(facts, amounts, this.#clock.wall(performance.now()));
    this.#metrics.moved(facts.side, amounts);
  }

  /** Tells how long a connection lived, and how much it moved. */
  ended({ facts, startedAt, bytesReceived, bytesSent, denied, trace: span }: EndedConnection): void {
    const endedAt = performance.now();
    const traceId = span?.trace.traceId ?? null;
    if (span !== undefined && span.trace.spanId !== null) {
      const verdict = denied === true ? 'denied' : facts.verdict;
      this.#spans?.add({ ...span, facts: { ...facts, verdict }, shape: null, status: 0, bytesReceived, bytesSent, endedAt });
    }
    // A request that became a connection had its duration when the protocol was switched.
    if (facts.protocol === 'tcp') this.#metrics.seriesOf(facts).observe(endedAt - startedAt);
    this.#accessLog?.add({ event: 'close', series: new Series(facts), path: facts.path, status: 0, traceId, bytesReceived, bytesSent, startedAt, endedAt });
  }

  /** A TLS peer that was turned away. `reason` says what was wrong with it. */
  handshakeRefused(facts: FlowFacts, reason: string): void {
    this.#metrics.handshakeRefused();
    this.#log.warn({ ...line(facts, null), handshake: reason }, 'handshake refused');
    this.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 } });
  }

  /** A connection or stream that was closed for want of room. Not logged: a flood must not flood the log too. */
  connectionRefused(limit: LimitName): void {
    this.#metrics.connectionRefused(limit);
  }

  /** Says in the log why a call reached nobody; it is counted by {@link record}. */
  unreachable(facts: FlowFacts, error: string): void {
    this.#log.warn({ ...line(facts, null), verdict: 'failed', error }, 'upstream not reached');
  }

  /** A failure of this program itself while it served a connection, which the caller has closed: fail closed, go on. */
  defect(error: unknown): void {
    this.#log.error({ reason: (error as Error).message, stack: (error as Error).stack }, 'a connection was closed because of a defect');
  }

  /** Has `flush` called before each report. Returns the way to stop that. */
  onFlush(flush: () => void): () => void {
    this.#open.add(flush);
    return () => this.#open.delete(flush);
  }

  /** Lets open connections report what they moved so far. */
  flush(): void {
    this.#clock.adjust();
    for (const flush of this.#open) flush();
  }

  /** A call that no report has room for is told to everybody else all the same. */
  #add(facts: FlowFacts, amounts: FlowAmounts, wall: number): Series {
    const series = this.#counter.add(facts, amounts, wall);
    if (series !== null) return series;
    this.#metrics.lost();
    return new Series(facts);
  }

  #span({ facts, amounts, startedAt, status = 0, peer }: CountedCall, trace: CallTrace, series: Series, endedAt: number): void {
    const { bytesReceived, bytesSent } = amounts;
    this.#spans?.add({ trace, facts, shape: series.facts.path, status, peer: peer ?? null, bytesReceived, bytesSent, startedAt: startedAt ?? endedAt, endedAt });
  }

  #deny(facts: FlowFacts, reason: FlowReason, traceId: string | null, at: number): void {
    const { source, destination, method, path, policy } = facts;
    this.#log.warn(line(facts, traceId), 'denied');
    // Inbound ports belong to a workload; without one there is nothing to name in an event.
    if (destination.workload === null) return;
    const { namespace, workload, service, port } = destination;
    this.#counter.deny({ at, source, destination: { namespace, workload, service, port }, method, path, policy, reason, traceId });
  }
}

/** Denials, and peers that failed to prove who they are: both belong in front of an auditor. */
function isRefusal(facts: FlowFacts): boolean {
  return facts.verdict === 'denied' || facts.reason === 'peer-not-verified';
}

function line(facts: FlowFacts, traceId: string | null): Record<string, unknown> {
  const { side, source, destination, method, path, mtls, verdict, policy, reason } = facts;
  return { side, principal: source.principal, ip: source.ip, ...destination, method, path, mtls, verdict, policy, reason, traceId };
}
