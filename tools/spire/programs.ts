import { existsSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildPackages } from '../go-program.ts';

const FOLDER = import.meta.dirname;
const PACKAGES = ['github.com/spiffe/spire/cmd/spire-server', 'github.com/spiffe/spire/cmd/spire-agent'];
/** A build from nothing compiles 2,300 packages: 9 minutes of processor time, 33 of the clock on two cores that had much else to do. */
const BUILD_MS = 90 * 60_000;

/** A real SPIRE, or why it cannot be had. */
export type SpirePrograms = { readonly server: string; readonly agent: string } | { readonly missing: string };

/**
 * spire-server and spire-agent: the ones that SALLYPORT_SPIRE_SERVER and SALLYPORT_SPIRE_AGENT name, else those that
 * `npm run test:spire` built into the cache. Not built here: that takes too long for a test that nobody asked for.
 */
export function spirePrograms(): SpirePrograms {
  const [server, agent] = [process.env['SALLYPORT_SPIRE_SERVER'] ?? join(cache(), 'spire-server'), process.env['SALLYPORT_SPIRE_AGENT'] ?? join(cache(), 'spire-agent')];
  if (existsSync(server) && existsSync(agent)) return { server, agent };
  const missing = 'there is no SPIRE. Run npm run test:spire, which builds it once, or set SALLYPORT_SPIRE_SERVER and SALLYPORT_SPIRE_AGENT';
  console.warn(`SKIPPED: identities from SPIRE and federation with it were NOT checked: ${missing}`);
  return { missing };
}

/** Builds both into the cache unless they are there. @returns why that cannot be done, or null */
export async function buildSpire(say: (text: string) => void): Promise<string | null> {
  if (existsSync(cache())) return null;
  say('building spire-server and spire-agent once; from nothing that takes about ten minutes of processor time');
  return await buildPackages(FOLDER, PACKAGES, cache(), BUILD_MS);
}

/** Names the cache by what decides what is built. */
function cache(): string {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(FOLDER, file)));
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sallyport', `spire-${hash.digest('hex').slice(0, 16)}`);
}
