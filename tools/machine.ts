import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const KNOWN = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const APT = '/usr/bin/apt-get';
const OPENSSL = 'openssl';
const INSTALL_MS = 10 * 60_000;

/** The browser of the journeys: its path, or null for the one that Playwright manages itself. */
export type Browser = { readonly ok: true; readonly path: string | null } | { readonly ok: false; readonly problem: string };

/**
 * Finds a Chromium or installs one: `CHROMIUM_PATH`, a system's own, `apt-get install chromium` as root on Debian and
 * its kin, and at last Playwright's own download.
 */
export function ensureBrowser(root: string, say: (text: string) => void): Browser {
  const named = process.env['CHROMIUM_PATH'];
  if (named) {
    if (existsSync(named)) return { ok: true, path: named };
    return { ok: false, problem: `CHROMIUM_PATH names ${named}, which does not exist. Remedy: correct or unset it` };
  }
  const known = KNOWN.find((path) => existsSync(path));
  if (known) return { ok: true, path: known };
  const cli = createRequire(join(root, 'package.json')).resolve('@playwright/test/cli');
  aptInstall('chromium', say);
  const installed = KNOWN.find((path) => existsSync(path));
  if (installed) return { ok: true, path: installed };
  say('installing Playwright’s Chromium');
  const result = spawnSync(process.execPath, [cli, 'install', 'chromium'], { cwd: root, encoding: 'utf8', timeout: INSTALL_MS });
  if (result.status === 0) return { ok: true, path: null };
  const words = `${result.stdout}${result.stderr}`.trim().split('\n').slice(-5).join('\n');
  return { ok: false, problem: `no Chromium was found and none could be installed:\n${words}\nRemedy: install chromium by your system's packages, or set CHROMIUM_PATH` };
}

/** Makes sure of the `openssl` command, against which certificates and evidence are checked. @returns the problem, or null */
export function ensureOpenssl(say: (text: string) => void): string | null {
  const present = () => spawnSync(OPENSSL, ['version'], { stdio: 'ignore' }).status === 0;
  if (present()) return null;
  aptInstall(OPENSSL, say);
  return present() ? null : "the command openssl is missing. Remedy: install openssl by your system's packages";
}

/** Installs a package where that is ours to do: as root on Debian and its kin. Whether it worked is for the caller to see. */
function aptInstall(name: string, say: (text: string) => void): void {
  if (!existsSync(APT) || process.getuid?.() !== 0) return;
  say(`installing ${name} with apt-get`);
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: 'ignore', timeout: INSTALL_MS } as const;
  spawnSync(APT, ['update', '-qq'], options);
  spawnSync(APT, ['install', '-y', '-qq', '--no-install-recommends', name], options);
}
