import { buildGoProgram } from '../go-program.ts';

/** The go-spiffe program that tests run against us: its path, or why it cannot be had. */
type SpiffeTool = { readonly path: string } | { readonly missing: string };

/**
 * Builds the program outside the tree, once for each state of its sources.
 *
 * @throws Error under CI=true when it cannot be built: there a skipped peer is a failure
 */
export async function spiffeTool(): Promise<SpiffeTool> {
  const built = await buildGoProgram(import.meta.dirname);
  if ('path' in built) return built;
  const missing = `go-spiffe cannot be built: ${built.missing}`;
  if (process.env['CI'] === 'true') throw new Error(missing);
  console.warn(`SKIPPED: what go-spiffe says of us was NOT checked. ${missing}`);
  return { missing };
}
