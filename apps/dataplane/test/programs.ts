import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const INTEROP = join(import.meta.dirname, '../../../tools/interop');

/** Where a program of others is, or why it cannot be run here. */
export type Program = { readonly path: string } | { readonly missing: string; /** True when the repository says which one it is. */ readonly pinned?: boolean };

/** A Go tool that tools/interop pins. Go builds it when it is not in its cache, which once needs the module proxy. */
export function goProgram(name: string): Program {
  const built = spawnSync('go', ['tool', '-n', name], { cwd: INTEROP, encoding: 'utf8', timeout: 300_000 });
  if (built.status === 0) return { path: built.stdout.trim() };
  return { missing: `${name} cannot be run: ${built.error?.message ?? built.stderr}`, pinned: true };
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
