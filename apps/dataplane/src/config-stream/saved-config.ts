import { join } from 'node:path';
import { z } from 'zod';
import { readIfPresent, writeAtomically } from '../identity/state-dir.ts';
import { type ConfigSet, readEntry, type StoredEntry } from './config-set.ts';

/** The last good configuration. `confirmedAt` is when the operator last stood behind it, in ms since the epoch. */
export interface SavedConfig {
  readonly version: string;
  readonly confirmedAt: number;
  readonly set: ConfigSet;
}

const saved = z.strictObject({
  version: z.string(),
  confirmedAt: z.int().min(0),
  entries: z.record(z.string(), z.strictObject({ hash: z.string(), entry: z.unknown() })),
});

/** The file of the last good configuration in the state directory. */
export class SavedConfigFile {
  readonly #file: string;

  constructor(stateDir: string) {
    this.#file = join(stateDir, 'config.json');
  }

  /**
   * What was saved, or null when nothing was.
   *
   * @throws Error naming the file when it is damaged; then nothing of it may be used
   */
  read(): SavedConfig | null {
    const text = readIfPresent(this.#file);
    if (text === null) return null;
    try {
      const { version, confirmedAt, entries } = saved.parse(JSON.parse(text));
      const set = new Map<string, StoredEntry>();
      for (const [name, { hash, entry }] of Object.entries(entries)) set.set(name, readEntry(name, hash, entry));
      return { version, confirmedAt, set };
    } catch (error) {
      throw new Error(`${this.#file} is damaged and not used: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Replaces the file atomically. @throws Error of the file system */
  write({ version, confirmedAt, set }: SavedConfig): void {
    const entries = Object.fromEntries([...set].map(([name, { hash, raw }]) => [name, { hash, entry: raw }]));
    writeAtomically(this.#file, JSON.stringify({ version, confirmedAt, entries }));
  }
}
