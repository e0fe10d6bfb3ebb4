import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { CliFailure, EXIT } from './failure.ts';

/** The files that a path of a command line means: itself, `-`, or what a directory holds. @throws CliFailure */
export function filesOf(path: string, mostBytes: number): string[] {
  if (path === '-') return [path];
  const kind = statSync(path, { throwIfNoEntry: false });
  if (!kind) throw new CliFailure(EXIT.usage, `${path}: no such file or directory`);
  if (kind.isDirectory()) {
    const files = readdirSync(path).filter((name) => /\.(ya?ml|json)$/.test(name)).sort().map((name) => join(path, name));
    if (files.length === 0) throw new CliFailure(EXIT.usage, `${path}: holds no .yaml, .yml or .json file`);
    return files;
  }
  if (kind.size > mostBytes) throw new CliFailure(EXIT.usage, `${path}: is larger than ${mostBytes} bytes`, 'split it into several files');
  return [path];
}

/** What a file is called in a message. */
export function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}

/** The text of a file, or of standard input for `-`. @throws CliFailure */
export async function readText(file: string): Promise<string> {
  if (file === '-') return readAll(process.stdin);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliFailure(EXIT.usage, `${file}: cannot be read: ${error instanceof Error ? error.message : 'unknown reason'}`);
  }
}
