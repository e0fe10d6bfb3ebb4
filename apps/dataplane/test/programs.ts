import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const INTEROP = join(import.meta.dirname, '../../../tools/interop');

/** Where a program of others is, or why it cannot be run here. */
export type Program = { readonly path: string } | { readonly missing: string; /** True when the repository says which one it is. */ readonly pinned?: boolean };

/** A Go tool that tools/interop pins. Go builds it when it is not in its cache, which once needs the module proxy. */
export async function goProgram(name: string): Promise<Program> {
  // Not the blocking form: a build from nothing takes longer than vitest waits for a sign of life.
  return await promisify(execFile)('go', ['tool', '-n', name], { cwd: INTEROP, timeout: 300_000 })
    .then(({ stdout }) => ({ path: stdout.trim() }), (error: unknown) => ({ missing: `${name} cannot be run: ${error instanceof Error ? error.message : 'unknown'}`, pinned: true }));
}

/** A program of the machine, if it is there and says of itself what it should. */
export function systemProgram(path: string, argument: string, says: RegExp): Program {
  const { stdout, error } = spawnSync(path, [argument], { encoding: 'utf8' });
  return says.test(stdout ?? '') ? { path } : { missing: `${path} cannot be used: ${error?.message ?? 'it lacks what is needed'}` };
}

/**
 * Says loudly that something was not checked. @returns true when it was not
 *
 * @throws Error in CI, which has what the repository pins
 */
export function isSkipped(what: string, ...programs: readonly Program[]): boolean {
  const missing = programs.flatMap((program) => ('missing' in program ? [program] : []));
  if (missing.length === 0) return false;
  const text = `SKIPPED: ${what} was NOT checked. ${missing.map((program) => program.missing).join('; ')}`;
  if (process.env['CI'] === 'true' && missing.some(({ pinned }) => pinned === true)) throw new Error(text);
  console.warn(text);
  return true;
}
