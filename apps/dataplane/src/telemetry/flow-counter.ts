import type { DenyEvent, Flow, ShadowCount } from '@sallyport/shared/mesh';
import { OTHER_PATH, ownText, pathShape, samplePath } from './path-shape.ts';

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

/** Everything counted since the last drain. `lost` tells that some calls had no room and are not in `flows`. */
export interface CountedTelemetry {
  readonly flows: Flow[];
  readonly denies: DenyEvent[];
  readonly shadows: ShadowCount[];
  readonly lost: boolean;
}

/** What one report holds (push protocol). */
const MAX_SHADOWS = 5_000;

type MutableFlow = { -readonly [K in keyof Flow]: Flow[K] };

/** Where calls of one kind are counted. Made once by {@link FlowCounter.slot} and good for ever. */
export interface FlowSlot {
  readonly facts: FlowFacts;
  readonly path: string | null;
  /** What they add to since the last drain; that of an older time is never used. */
  flow: MutableFlow | null;
  period: number;
}

/** Counts calls exactly, by every dimension of {@link Flow}. Memory is bounded by `maxKeys`. */
export class FlowCounter {
  readonly #reporter: string;
  readonly #maxKeys: number;
  readonly #maxDenies: number;
  #flows = new Map<string, MutableFlow>();
  #denies: DenyEvent[] = [];
  #shadows = new Map<string, ShadowCount>();
  #lost = false;
  /** Counts the drains. */
  #period = 0;

  /**
   * @param maxKeys distinct flows before paths fall together as `{other}`; at four times as many, calls are lost
   * @param maxDenies deny events kept; further denials are counted and have no event
   */
  constructor(reporter: string, maxKeys = 2_000, maxDenies = 500) {
    this.#reporter = reporter;
    this.#maxKeys = maxKeys;
    this.#maxDenies = maxDenies;
  }

  slot(facts: FlowFacts): FlowSlot {
    const shaped = { ...facts, path: facts.path === null ? null : pathShape(facts.path) };
    return { facts: shaped, path: facts.path, flow: null, period: -1 };
  }

  /** Adds to the count of one kind of call at `now` (ms since the epoch). */
  add(slot: FlowSlot, amounts: FlowAmounts, now: number): void {
    if (slot.period !== this.#period) slot.flow = this.#find(slot.facts, slot.path, now);
    const { flow } = slot;
    if (!flow) {
      this.#lost = true;
      return;
    }
    slot.period = this.#period;
    flow.count += amounts.count;
    flow.bytesReceived += amounts.bytesReceived;
    flow.bytesSent += amounts.bytesSent;
    flow.lastSeen = Math.max(flow.lastSeen, now);
  }

  /** Keeps a deny event when there is room. The denial itself is counted by {@link add}. */
  deny(event: Omit<DenyEvent, 'reporter'>): void {
    if (this.#denies.length >= this.#maxDenies) return;
    const path = event.path === null ? null : event.path.slice(0, 1024);
    this.#denies.push({ ...event, path, reporter: this.#reporter });
  }

  /** Adds one match of a policy that does not decide. Policies, rules and ports are the configuration's, so they are few. */
  shadow(match: Omit<ShadowCount, 'count'>): void {
    const { policy, rule, namespace, workload, port } = match;
    const key = [policy, rule, namespace, workload, port].join(' ');
    const count = (this.#shadows.get(key)?.count ?? 0) + 1;
    if (count > 1 || this.#shadows.size < MAX_SHADOWS) this.#shadows.set(key, { ...match, count });
    else this.#lost = true;
  }

  /** Hands over what was counted and starts anew. */
  drain(): CountedTelemetry {
    const result = { flows: [...this.#flows.values()], denies: this.#denies, shadows: [...this.#shadows.values()], lost: this.#lost };
    this.#flows = new Map();
    this.#denies = [];
    this.#shadows = new Map();
    this.#lost = false;
    this.#period += 1;
    return result;
  }

  #find(facts: FlowFacts, path: string | null, now: number): MutableFlow | null {
    const known = this.#flows.get(keyOf(facts));
    if (known) return known;
    if (this.#flows.size < this.#maxKeys) return this.#create(facts, path, now);
    const other = facts.path === null ? facts : { ...facts, path: OTHER_PATH };
    const overflow = this.#flows.get(keyOf(other));
    if (overflow) return overflow;
    return this.#flows.size < this.#maxKeys * 4 ? this.#create(other, path, now) : null;
  }

  #create(facts: FlowFacts, path: string | null, now: number): MutableFlow {
    const flow: MutableFlow = {
      ...facts,
      reporter: this.#reporter,
      samplePath: path === null ? null : ownText(samplePath(path)),
      count: 0,
      bytesReceived: 0,
      bytesSent: 0,
      firstSeen: now,
      lastSeen: now,
    };
    this.#flows.set(keyOf(facts), flow);
    return flow;
  }
}

/** NUL separates: it can be in none of the parts. */
function keyOf(f: FlowFacts): string {
  const { source: s, destination: d } = f;
  const parts = [f.side, s.principal, s.ip, d.namespace, d.workload, d.service, d.port, f.protocol, f.method, f.path];
  return [...parts, f.mtls, f.verdict, f.reason, f.policy].map(part).join('\0');
}

function part(value: string | number | null): string {
  return value === null ? '\u0001' : String(value);
}
