import fs from 'node:fs';
import { pause } from '../backoff.ts';
import type { Log } from './log.ts';

/**
 * POSIX write(): up to PIPE_BUF bytes (Linux: 4096) are one piece in a pipe, so that no other writer's line comes in between
 * ours. A file that is opened to append takes any size so.
 */
export const PIPE_PIECE = 4_096;
export const FILE_PIECE = 64 * 1024;
const MAX_WAITING = 1024 * 1024;
const DELAY_MS = 100;
const RETRY_MS = 1_000;

/** Writes whole lines in the background. What waits is bounded: beyond that lines are counted and gone, and nobody is kept. */
export class LineWriter {
  readonly #open: () => number;
  readonly #name: string;
  readonly #piece: number;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #fd: number;
  #waiting: string[] = [];
  #size = 0;
  #writing: Promise<void> | null = null;
  #reopening = false;
  #failing = false;
  #dropped = 0;

  /** @param open gives the file descriptor to write to. @param piece most bytes in one write. @throws what `open` throws */
  constructor(open: () => number, name: string, piece: number, log: Log) {
    this.#piece = piece;
    this.#open = open;
    this.#name = name;
    this.#log = log;
    this.#fd = open();
  }

  /** Lines that had no room or could not be written. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line with its end. */
  write(line: string): void {
    if (this.#size + line.length > MAX_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(line);
    this.#size += line.length;
    this.#writing ??= this.#run();
  }

  /** Opens the same name again, after the lines that wait were written to the file as it is. */
  reopen(): void {
    this.#reopening = true;
    this.#writing ??= this.#run();
  }

  /** Writes what waits; gives up after `deadline` ms. */
  async close(deadline: number): Promise<void> {
    this.#stop.abort();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), deadline);
    await Promise.race([this.#writing, pause(deadline, limit.signal)]);
    clearTimeout(timer);
    if (this.#writing === null && this.#fd > 2) fs.closeSync(this.#fd);
  }

  async #run(): Promise<void> {
    // What comes within a moment goes out together.
    await pause(DELAY_MS, this.#stop.signal);
    while (this.#waiting.length > 0 || this.#reopening) {
      const lines = this.#take();
      if (lines.length > 0) await this.#put(lines);
      if (this.#reopening && this.#waiting.length === 0) this.#renew();
    }
    this.#writing = null;
  }

  /** As many lines as fit into one piece, at least one. */
  #take(): string[] {
    let size = 0;
    let end = 0;
    for (const line of this.#waiting) {
      const bytes = Buffer.byteLength(line);
      if (end > 0 && size + bytes > this.#piece) break;
      size += bytes;
      end += 1;
      this.#size -= line.length;
    }
    return this.#waiting.splice(0, end);
  }

  async #put(lines: readonly string[]): Promise<void> {
    let rest = Buffer.from(lines.join(''));
    while (rest.length > 0) {
      const result = await writeOnce(this.#fd, rest);
      if (typeof result === 'number') {
        this.#failing = false;
        rest = rest.subarray(result);
        continue;
      }
      // A full pipe that does not block: whoever reads it may come back.
      if (result.code === 'EAGAIN' && !this.#stop.signal.aborted) {
        await pause(DELAY_MS, this.#stop.signal);
        continue;
      }
      this.#dropped += lines.length;
      return await this.#failed(result);
    }
  }

  /** A full disk is full for longer than a moment, and one word about it is enough. */
  async #failed(error: Error): Promise<void> {
    if (!this.#failing) this.#log.error({ reason: error.message }, `${this.#name} cannot be written: lines are dropped`);
    this.#failing = true;
    await pause(RETRY_MS, this.#stop.signal);
  }

  #renew(): void {
    this.#reopening = false;
    try {
      const next = this.#open();
      if (this.#fd > 2) fs.closeSync(this.#fd);
      this.#fd = next;
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, 'the old file stays in use');
    }
  }
}

function writeOnce(fd: number, bytes: Buffer): Promise<number | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    fs.write(fd, bytes, (error, written) => resolve(error ?? written));
  });
}
