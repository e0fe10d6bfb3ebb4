import type { Link } from '../link/link.ts';
import type { FlowFacts } from '../telemetry/flow-counter.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import { type Splice, splice } from './splice.ts';

/** Asks whether an open connection is still allowed. When not, it has recorded the denial. */
export type Recheck = () => Promise<boolean>;

/** Connections that live on after they were decided: TCP and switched protocols. Each is counted when it starts. */
export class OpenCalls {
  readonly #recorder: Recorder;
  readonly #open = new Map<() => void, Recheck>();

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  /**
   * Joins the two sides until one ends, `retireAt` (ms since the epoch) passes, or {@link recheck} finds it forbidden.
   * The bytes go to `facts`, whose call is counted already. `ended` is told when both are closed.
   */
  join(source: Link, destination: Link, facts: FlowFacts, retireAt: number, allowed: Recheck, ended?: () => void): void {
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
    const destroy = () => joined.destroy();
    this.#open.set(destroy, allowed);
    void this.#follow(joined, destroy, retireAt, () => {
      stopFlush();
      flush();
      this.#recorder.ended({ facts, startedAt, ...total });
      ended?.();
    });
  }

  async #follow(joined: Splice, destroy: () => void, retireAt: number, finish: () => void): Promise<void> {
    const timer = setTimeout(destroy, Math.max(0, retireAt - Date.now()));
    timer.unref();
    await joined.done;
    clearTimeout(timer);
    finish();
    this.#open.delete(destroy);
  }

  /** Breaks every connection that is not allowed any more, or of which that cannot be told. */
  recheck(): void {
    for (const [destroy, allowed] of this.#open) void this.#check(destroy, allowed);
  }

  async #check(destroy: () => void, allowed: Recheck): Promise<void> {
    try {
      if (!(await allowed())) destroy();
    } catch (error) {
      destroy();
      this.#recorder.defect(error);
    }
  }

  /** Waits up to `grace` ms for connections to end by themselves, then breaks them. */
  async close(grace: number): Promise<void> {
    const end = Date.now() + grace;
    while (this.#open.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const destroy of this.#open.keys()) destroy();
  }
}
