import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The trust bundle in the state directory: what a new proxy is given to know the operator by. */
export const BUNDLE_FILE = 'bundle.pem';

/** Its certificates in PEM, for whoever has no CA at hand; none before the first CA of this state directory. */
export function publishedRoots(stateDir: string): string[] {
  const path = join(stateDir, BUNDLE_FILE);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}
