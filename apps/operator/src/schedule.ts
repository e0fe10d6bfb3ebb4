import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

/**
 * Runs a job again and again, each run after the last one has ended, and survives its failures.
 *
 * @returns what stops it and waits for the run in progress
 */
export function repeat(name: string, everyMs: number, job: () => Promise<void>, log: Logger): () => Promise<void> {
  const stop = new AbortController();
  const loop = (async () => {
    while (!stop.signal.aborted) {
      try {
        await job();
      } catch (error) {
        log.warn({ job: name, error: error instanceof Error ? error.message : 'unknown' }, 'job failed; it runs again');
      }
      await delay(everyMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return async () => {
    stop.abort();
    await loop;
  };
}
