import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';

const MAX_BYTES = 10 * 1024 * 1024;

/** A process's log: it keeps at most one older file of the same size beside it, named `.1`. */
export class LogFile {
  readonly path: string;
  readonly #maxBytes: number;
  #descriptor: number;
  #bytes: number;
  #closed = false;

  constructor(path: string, maxBytes = MAX_BYTES) {
    this.path = path;
    this.#maxBytes = maxBytes;
    this.#descriptor = openSync(path, 'a', 0o600);
    this.#bytes = statSync(path).size;
  }

  /** Output that comes after the close, from a process that was ended, is dropped. */
  write(chunk: Buffer | string): void {
    if (this.#closed) return;
    this.#bytes += writeSync(this.#descriptor, typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    if (this.#bytes < this.#maxBytes) return;
    closeSync(this.#descriptor);
    renameSync(this.path, `${this.path}.1`);
    this.#descriptor = openSync(this.path, 'a', 0o600);
    this.#bytes = 0;
  }

  /** The last lines, to show when the process could not be started. */
  tail(lines: number): string {
    const text = existsSync(this.path) ? readFileSync(this.path, 'utf8') : '';
    return text.trimEnd().split('\n').slice(-lines).join('\n').slice(-6000);
  }

  close(): void {
    this.#closed = true;
    closeSync(this.#descriptor);
  }
}
