import type { FlowReason } from '@sallyport/shared/mesh';
import type { ShadowMatch } from '@sallyport/shared/policy';
import type { LimitName } from '../listener/limits.ts';
import type { FlowAmounts, FlowCounter, FlowFacts } from './flow-counter.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** One call, as the rooms on the hot path tell it. */
export interface CountedCall {
  readonly facts: FlowFacts;
  readonly amounts: FlowAmounts;
  readonly traceId: string | null;
}

/** The single place where a call becomes a count, a metric, a deny event and a line of the access log. */
export class Recorder {
  readonly #counter: FlowCounter;
  readonly #metrics: Metrics;
  readonly #log: Log;
  /** Open connections that want to report the bytes they moved before a drain. */
  readonly #open = new Set<() => void>();

  constructor(counter: FlowCounter, metrics: Metrics, log: Log) {
    this.#counter = counter;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Counts a finished call, or the start of a connection. */
  record({ facts, amounts, traceId }: CountedCall): void {
    const now = Date.now();
    this.#counter.add(facts, amounts, now);
    this.#metrics.count(facts, amounts);
    if (facts.side === 'inbound' && facts.reason !== null && isRefusal(facts)) this.#deny(facts, facts.reason, traceId, now);
    else this.#log.debug({ ...line(facts, traceId) }, 'call');
  }

  /** Reports what policies that do not decide would have said to a call. */
  shadow(matches: readonly ShadowMatch[], { namespace, workload, port }: FlowFacts['destination']): void {
    if (workload === null) return;
    for (const { policy, action, rule } of matches) {
      this.#counter.shadow({ policy, action, rule, namespace, workload, port });
      this.#metrics.shadow(policy, action);
      this.#log.debug({ policy, action, rule, namespace, workload, port }, 'shadow match');
    }
  }

  /** Adds bytes to a call that is counted already. */
  moved(facts: FlowFacts, bytesReceived: number, bytesSent: number): void {
    if (bytesReceived === 0 && bytesSent === 0) return;
    const amounts = { count: 0, bytesReceived, bytesSent };
    this.#counter.add(facts, amounts, Date.now());
    this.#metrics.count(facts, amounts);
  }

  /** A TLS peer that was turned away. `reason` says what was wrong with it. */
  handshakeRefused(facts: FlowFacts, reason: string): void {
    this.#metrics.handshakeRefused();
    this.#log.warn({ ...line(facts, null), handshake: reason }, 'handshake refused');
    this.record({ facts, amounts: { count: 1, bytesReceived: 0, bytesSent: 0 }, traceId: null });
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
    for (const flush of this.#open) flush();
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
