import type { Flow } from '@sallyport/shared/mesh';
import { ownText } from './path-shape.ts';

/** What a call was. `path` is the normalised path, not its shape; null for TCP and for refused paths. */
export type FlowFacts = Omit<Flow, 'reporter' | 'samplePath' | 'count' | 'bytesReceived' | 'bytesSent' | 'firstSeen' | 'lastSeen'>;

/** How much of it. `count` is 0 when an open connection merely moved bytes. */
export interface FlowAmounts {
  readonly count: number;
  /** Bytes from the source to the destination. */
  readonly bytesReceived: number;
  /** Bytes from the destination to the source. */
  readonly bytesSent: number;
}

/** Where calls of one kind are counted for Prometheus. */
export interface CallMeter {
  /** @param status of the answer; 0 when there was none */
  count(calls: number, status: number): void;
  observe(milliseconds: number): void;
}

/** One kind of call: what is counted of it since the last report, and what is found once for it and kept. */
export class Series {
  /** As counted: `path` is the shape. */
  readonly facts: FlowFacts;
  /** Length of what differs from flow to flow and that callers choose; it bounds a report's size. */
  readonly weight: number;
  samplePath: string | null = null;
  count = 0;
  bytesReceived = 0;
  bytesSent = 0;
  firstSeen = 0;
  lastSeen = 0;
  /** True when it is in the next report. */
  active = false;
  red: CallMeter | null = null;
  /** The part of an access-log line that every call of this kind shares. */
  logged: string | null = null;

  constructor(facts: FlowFacts) {
    this.facts = facts;
    this.weight = 2 * (facts.path?.length ?? 0) + (facts.method?.length ?? 0);
  }
}

type Part = string | number | null;

class Branch {
  readonly next = new Map<Part, Branch>();
  series: Series | null = null;
}

const PROTOCOLS = { http: 0, tcp: 1 } as const;
const MTLS = { mutual: 0, plaintext: 2, unknown: 4 } as const;
const VERDICTS = { allowed: 0, denied: 6, failed: 12 } as const;

/**
 * Finds the series of a call by all its dimensions. A tree of maps: looking up texts one by one costs a third of making one
 * long text of them and looking that up.
 */
export class SeriesTree {
  #root = new Branch();
  #size = 0;

  /** Series in the tree. */
  get size(): number {
    return this.#size;
  }

  /** The series of calls of this kind, or null when there is none yet. Makes nothing. */
  find(facts: FlowFacts, path: string | null): Series | null {
    const { source, destination } = facts;
    let at: Branch | undefined = this.#root.next.get(source.principal);
    at = at?.next.get(source.ip);
    at = at?.next.get(destination.port);
    at = at?.next.get(destination.service);
    at = at?.next.get(destination.workload);
    at = at?.next.get(destination.namespace);
    at = at?.next.get(kindOf(facts));
    at = at?.next.get(facts.method);
    at = at?.next.get(path);
    at = at?.next.get(facts.policy);
    at = at?.next.get(facts.reason);
    return at?.series ?? null;
  }

  /** Makes the series that {@link find} did not find. It lives long: what came with a request must be texts of their own. */
  create(given: FlowFacts, path: string | null): Series {
    const facts = { ...given, method: ownText(given.method), path: ownText(path) };
    const { source, destination: d } = facts;
    const parts: Part[] = [source.principal, source.ip, d.port, d.service, d.workload, d.namespace, kindOf(facts), facts.method, facts.path, facts.policy, facts.reason];
    let at = this.#root;
    for (const part of parts) {
      let next = at.next.get(part);
      if (!next) at.next.set(part, (next = new Branch()));
      at = next;
    }
    this.#size += 1;
    return (at.series = new Series(facts));
  }

  /** Forgets everything. */
  clear(): void {
    this.#root = new Branch();
    this.#size = 0;
  }
}

/** Side, protocol, protection and verdict as one number. */
function kindOf({ side, protocol, mtls, verdict }: FlowFacts): number {
  return PROTOCOLS[protocol] + MTLS[mtls] + VERDICTS[verdict] + (side === 'inbound' ? 0 : 18);
}
