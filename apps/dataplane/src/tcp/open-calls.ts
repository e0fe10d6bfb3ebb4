import type { Link } from '../link/link.ts';
import type { ConnectionTrace } from '../telemetry/connection-span.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { type Splice, splice } from './splice.ts';

/** Asks whether an open connection is still allowed. When not, it has recorded the denial. */
type Recheck = () => Promise<boolean>;

interface Open {
  readonly allowed: Recheck;
  /** True when it ends because it was not allowed any more. */
  denied: boolean;
}

/** A connection that begins to live on. */
export interface Joined {
  /** Who gets the bytes; the call is counted already. */
  readonly facts: FlowFacts;
  /** Ms since the epoch. */
  readonly retireAt: number;
  readonly allowed: Recheck;
  /** Told when both sides are closed. */
  readonly ended?: () => void;
  /** Of a connection that has a span when it ends. */
  readonly trace?: ConnectionTrace;
}

/**
 * Node keeps a list for each duration of timers that are not waited for, for as long as that duration, also when they were
 * cleared: of an hour more or less in milliseconds there were a hundred thousand.
 */
const wholeSeconds = (ms: number): number => Math.min(Math.ceil(Math.max(0, ms) / 1_000) * 1_000, LONGEST_MS);

/** The most whole seconds that a timer takes: what is longer fires at once. */
const LONGEST_MS = 2_147_483_000;

/** Connections that live on after they were decided: TCP and switched protocols. Each is counted when it starts. */
export class OpenCalls {
  readonly #recorder: Recorder;
  readonly #open = new Map<Splice, Open>();

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /** Joins the two sides until one ends, `retireAt` passes, or {@link recheck} finds it forbidden. */
  join(source: Link, destination: Link, { facts, retireAt, allowed, ended, trace }: Joined): void {
    const joined = splice(source, destination);
    const startedAt = performance.now();
    const total = { bytesReceived: 0, bytesSent: 0 };
    const flush = () => {
      const { received, sent } = joined.take();
      total.bytesReceived += received;
      total.bytesSent += sent;
      this.#recorder.moved(facts, received, sent);
    };
    const stopFlush = this.#recorder.onFlush(flush);
    const open: Open = { allowed, denied: false };
    this.#open.set(joined, open);
    void this.#follow(joined, retireAt, () => {
      stopFlush();
      flush();
      this.#recorder.ended({ facts, startedAt, ...total, denied: open.denied, ...(trace === undefined ? {} : { trace }) });
      ended?.();
    });
  }

  async #follow(joined: Splice, retireAt: number, finish: () => void): Promise<void> {
    const timer = setTimeout(() => joined.destroy(), wholeSeconds(retireAt - Date.now()));
    timer.unref();
    await joined.done;
    clearTimeout(timer);
    finish();
    this.#open.delete(joined);
  }

  /** Breaks every connection that is not allowed any more, or of which that cannot be told. */
  recheck(): void {
    for (const [joined, open] of this.#open) void this.#check(joined, open);
  }

  async #check(joined: Splice, open: Open): Promise<void> {
    try {
      if (await open.allowed()) return;
      open.denied = true;
      joined.destroy();
    } catch (error) {
      joined.destroy();
      this.#recorder.defect(error);
    }
  }

  /** Waits up to `grace` ms for connections to end by themselves, then breaks them. */
  async close(grace: number): Promise<void> {
    const end = Date.now() + grace;
    while (this.#open.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const joined of this.#open.keys()) joined.destroy();
  }
}
