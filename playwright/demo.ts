import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a running demo says of itself in `.sallyport/demo.json`. */
export interface Demo {
  readonly consoleUrl: string;
  readonly apiUrl: string;
  readonly username: string;
  readonly password: string;
}

/**
 * Reads the demo's record, by SALLYPORT_DEMO_FILE or from this clone's `.sallyport`.
 *
 * @throws when there is none, or it lacks a field, with how to start a demo
 */
export function readDemo(): Demo {
  const file = process.env['SALLYPORT_DEMO_FILE'] ?? join(import.meta.dirname, '..', '.sallyport', 'demo.json');
  let record: Partial<Record<keyof Demo, unknown>>;
  try {
    record = JSON.parse(readFileSync(file, 'utf8')) as typeof record;
  } catch {
    throw new Error(`no running demo: cannot read ${file}. Start one with "npm run demo -- --detach", or name its record in SALLYPORT_DEMO_FILE`);
  }
  return { consoleUrl: text(record, 'consoleUrl', file), apiUrl: text(record, 'apiUrl', file), username: text(record, 'username', file), password: text(record, 'password', file) };
}

function text(record: Partial<Record<keyof Demo, unknown>>, field: keyof Demo, file: string): string {
  const value = record[field];
  if (typeof value !== 'string' || value === '') throw new Error(`${file} has no ${field}; start the demo again`);
  return value;
}
