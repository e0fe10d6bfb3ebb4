import type { DenyEvent, Flow, ShadowCount } from '@sallyport/shared/mesh';
import { OTHER_PATH, ownText, PathShapes, samplePath } from './path-shape.ts';
import { type FlowAmounts, type FlowFacts, type Series, SeriesTree } from './series.ts';

export type { FlowAmounts, FlowFacts } from './series.ts';

/** Everything counted since the last drain. `lost` is the number of calls that had no room and are not in `flows`. */
export interface CountedTelemetry {
  readonly flows: Flow[];
  readonly denies: DenyEvent[];
  readonly shadows: ShadowCount[];
  readonly lost: number;
}

/** What one report holds (push protocol). */
const MAX_SHADOWS = 5_000;
/** Characters of paths and methods in one report, which the operator takes up to 8 MiB of: beyond it paths fall together. */
const MAX_WEIGHT = 2 * 1024 * 1024;

/**
 * Counts calls exactly, by every dimension of {@link Flow}. Memory is bounded by `maxKeys`. What was found for a kind of call
 * is kept over reports, so that the next one is only added.
 */
export class FlowCounter {
  readonly #reporter: string;
  readonly #maxKeys: number;
  readonly #maxDenies: number;
  readonly #tree = new SeriesTree();
  readonly #shapes = new PathShapes();
  #active: Series[] = [];
  #weight = 0;
  #denies: DenyEvent[] = [];
  #shadows = new Map<string, ShadowCount>();
  #lost = 0;

  /**
   * @param maxKeys distinct flows in one report before paths fall together as `{other}`; at four times as many, calls are lost
   * @param maxDenies deny events kept; further denials are counted and have no event
   */
  constructor(reporter: string, maxKeys = 2_000, maxDenies = 500) {
    this.#reporter = reporter;
    this.#maxKeys = maxKeys;
    this.#maxDenies = maxDenies;
  }

  /** Adds to the count of one kind of call at `now` (ms since the epoch). @returns its series, or null when the call was lost */
  add(facts: FlowFacts, amounts: FlowAmounts, now: number): Series | null {
    const series = this.#find(facts);
    if (!series) {
      this.#lost += 1;
      return null;
    }
    if (!series.active) this.#activate(series, facts.path, now);
    series.count += amounts.count;
    series.bytesReceived += amounts.bytesReceived;
    series.bytesSent += amounts.bytesSent;
    if (now > series.lastSeen) series.lastSeen = now;
    return series;
  }

  /** Keeps a deny event when there is room. The denial itself is counted by {@link add}. */
  deny(event: Omit<DenyEvent, 'reporter'>): void {
    if (this.#denies.length >= this.#maxDenies) return;
    const path = event.path === null ? null : event.path.slice(0, 1024);
    this.#denies.push({ ...event, method: ownText(event.method), path: ownText(path), traceId: ownText(event.traceId), reporter: this.#reporter });
  }

  /** Adds one match of a policy that does not decide. Policies, rules and ports are the configuration's, so they are few. */
  shadow(match: Omit<ShadowCount, 'count'>): void {
    const { policy, rule, namespace, workload, port } = match;
    const key = [policy, rule, namespace, workload, port].join(' ');
    const count = (this.#shadows.get(key)?.count ?? 0) + 1;
    if (count > 1 || this.#shadows.size < MAX_SHADOWS) this.#shadows.set(key, { ...match, count });
    else this.#lost += 1;
  }

  /** Hands over what was counted and starts anew. */
  drain(): CountedTelemetry {
    const flows = this.#active.map((series) => this.#take(series));
    const result = { flows, denies: this.#denies, shadows: [...this.#shadows.values()], lost: this.#lost };
    this.#active = [];
    this.#weight = 0;
    this.#denies = [];
    this.#shadows = new Map();
    this.#lost = 0;
    if (this.#tree.size > this.#maxKeys * 4) this.#tree.clear();
    return result;
  }

  /** The series to add to: the call's own, the one of all other paths when there are too many, or none when even that is new. */
  #find(facts: FlowFacts): Series | null {
    const shape = facts.path === null ? null : this.#shapes.of(facts.path);
    const known = this.#tree.find(facts, shape);
    if (known?.active) return known;
    const room = this.#active.length < this.#maxKeys && this.#weight < MAX_WEIGHT;
    if (room) return known ?? this.#tree.create(facts, shape);
    const other = facts.path === null ? null : OTHER_PATH;
    const overflow = this.#tree.find(facts, other);
    if (overflow?.active) return overflow;
    return this.#active.length < this.#maxKeys * 4 ? (overflow ?? this.#tree.create(facts, other)) : null;
  }

  #activate(series: Series, path: string | null, now: number): void {
    series.active = true;
    series.samplePath = path === null ? null : ownText(samplePath(path));
    series.firstSeen = now;
    series.lastSeen = now;
    this.#active.push(series);
    this.#weight += series.weight;
  }

  #take(series: Series): Flow {
    const { facts, samplePath: sample, count, bytesReceived, bytesSent, firstSeen, lastSeen } = series;
    series.active = false;
    series.count = 0;
    series.bytesReceived = 0;
    series.bytesSent = 0;
    return { ...facts, reporter: this.#reporter, samplePath: sample, count, bytesReceived, bytesSent, firstSeen, lastSeen };
  }
}
