import { setTimeout as sleep } from 'node:timers/promises';

/** One start of a unit. */
export interface Running {
  readonly pid: number;
  /** Settles with how it ended: `exit code 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Asks it to end, insists when it does not, and returns when it is gone. */
  stop(): Promise<void>;
}

/** Something that must run as long as the demo does. */
export interface Unit {
  readonly name: string;
  start(): Promise<Running>;
}

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A unit that ran for so long starts over with the first pause. */
  readonly steadyMs: number;
}
const BACKOFF: Backoff = { firstMs: 250, maxMs: 10_000, steadyMs: 30_000 };

/** Keeps a unit running: whenever it ends by itself it is started again, after a pause that doubles. */
export class Supervised {
  readonly unit: Unit;
  readonly #note: (text: string) => void;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  #running: Running | null = null;
  #loop: Promise<void> = Promise.resolve();
  restarts = 0;

  constructor(unit: Unit, note: (text: string) => void, backoff: Backoff = BACKOFF) {
    this.unit = unit;
    this.#note = note;
    this.#backoff = backoff;
  }

  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  /** First start. @throws what the unit throws when it cannot be started at all */
  async start(): Promise<void> {
    const first = this.unit.start();
    // A stop that comes meanwhile waits for this, or it would find nothing to stop.
    this.#loop = first.then(
      async (running) => await this.#keep(running),
      () => undefined,
    );
    await first;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.stop();
    await this.#loop;
  }

  async #keep(first: Running): Promise<void> {
    let running: Running | null = first;
    this.#running = first;
    if (this.#stopping.signal.aborted) await first.stop();
    let pause = this.#backoff.firstMs;
    for (;;) {
      const since = Date.now();
      const how = running === null ? 'could not be started' : `ended (${await running.ended})`;
      this.#running = null;
      if (this.#stopping.signal.aborted) return;
      if (Date.now() - since >= this.#backoff.steadyMs) pause = this.#backoff.firstMs;
      if (!(await this.#wait(pause))) return;
      pause = Math.min(pause * 2, this.#backoff.maxMs);
      this.restarts += 1;
      running = await this.unit.start().catch((error: unknown) => {
        this.#note(`${this.unit.name}: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      });
      this.#running = running;
      // A stop that came while it was starting found nothing to stop.
      if (this.#stopping.signal.aborted) await running?.stop();
      else if (running !== null) this.#note(`${this.unit.name} ${how}; started again as process ${running.pid}`);
    }
  }

  /** False when the stop came before the pause was over. */
  async #wait(ms: number): Promise<boolean> {
    return await sleep(ms, true, { signal: this.#stopping.signal }).catch(() => false);
  }
}
