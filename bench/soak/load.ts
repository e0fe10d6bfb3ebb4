import { setTimeout as delay } from 'node:timers/promises';
import type { EchoMesh } from '../../apps/operator/src/testing/echo-mesh.ts';

const TOLD = 10;

/** What one kind of call came to. */
interface Tally {
  calls: number;
  failures: number;
}

/** Calls all the time until it is stopped. */
export class Load {
  readonly tallies = new Map<string, Tally>();
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  /** @param tell told of the first failures of each kind as they come */
  constructor(mesh: EchoMesh, tell: (text: string) => void) {
    const kinds: readonly (readonly [string, () => Promise<void>, number])[] = [
      ...Array.from({ length: 4 }, () => ['HTTP over HBONE', () => mesh.http(), 20] as const),
      ['TCP, a handshake each', () => mesh.handshake(), 100],
      ['TCP, one connection over HBONE', staying(() => mesh.connect('hbone')), 100],
      ['TCP, one connection by mutual TLS', staying(() => mesh.connect('direct')), 100],
    ];
    this.#running = Promise.all(kinds.map(([name, call, pause]) => this.#repeat(name, call, pause, tell)));
  }

  get failures(): number {
    return [...this.tallies.values()].reduce((sum, { failures }) => sum + failures, 0);
  }

  /** Ends when the calls that are open have their answers. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #repeat(name: string, call: () => Promise<void>, pause: number, tell: (text: string) => void): Promise<void> {
    const tally = this.tallies.get(name) ?? { calls: 0, failures: 0 };
    this.tallies.set(name, tally);
    while (!this.#stop.signal.aborted) {
      tally.calls += 1;
      try {
        await call();
      } catch (error) {
        tally.failures += 1;
        if (tally.failures <= TOLD) tell(`${name}: ${(error as Error).message}`);
      }
      await delay(pause);
    }
  }
}

/** Uses one connection for all; another one only after that has failed, which is counted. */
function staying(connect: () => ReturnType<EchoMesh['connect']>): () => Promise<void> {
  let connection: ReturnType<EchoMesh['connect']> | null = null;
  return async () => {
    connection ??= connect();
    try {
      await connection.echo();
    } catch (error) {
      connection.close();
      connection = null;
      throw error;
    }
  };
}
