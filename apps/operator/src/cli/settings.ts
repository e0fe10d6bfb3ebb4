import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { CliFailure, EXIT } from './failure.ts';

/** The clone that this file is part of. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** Where to go and as whom. */
export interface Settings {
  readonly server: string;
  readonly username: string;
  readonly password: string;
  readonly stateDir: string;
}

const demoFile = z.object({ consoleUrl: z.string(), apiUrl: z.string(), username: z.string(), password: z.string(), partner: z.object({ apiUrl: z.string() }).nullish() });
type Demo = z.infer<typeof demoFile>;

const NOWHERE = 'start the demo (sallyport demo), or give --server URL (or SALLYPORT_SERVER) with SALLYPORT_USERNAME and SALLYPORT_PASSWORD';

/** Where the demo of this clone keeps its state: SALLYPORT_STATE, else `.sallyport`. */
export function stateDirectory(env: NodeJS.ProcessEnv): string {
  return env['SALLYPORT_STATE'] ?? join(ROOT, '.sallyport');
}

/**
 * Address from `--server`, `SALLYPORT_SERVER` or the running demo; sign-in from the environment, or from the demo when it
 * is the demo's own address: its password goes nowhere else.
 *
 * @throws CliFailure when there is no address or no sign-in for it
 */
export function settingsFrom(env: NodeJS.ProcessEnv, flag: string | undefined): Settings {
  const stateDir = stateDirectory(env);
  const demo = readDemo(stateDir);
  const wanted = flag ?? env['SALLYPORT_SERVER'] ?? demo?.apiUrl;
  if (wanted === undefined) throw new CliFailure(EXIT.unreachable, 'no server is known: no demo runs in this clone', NOWHERE);
  const server = checkServer(wanted);
  const own = demo && [demo.apiUrl, demo.consoleUrl, demo.partner?.apiUrl ?? ''].some((url) => URL.canParse(url) && new URL(url).origin === server);
  const username = env['SALLYPORT_USERNAME'] ?? (own ? demo.username : undefined);
  const password = env['SALLYPORT_PASSWORD'] ?? (own ? demo.password : undefined);
  if (username === undefined || password === undefined) {
    throw new CliFailure(EXIT.unreachable, `no sign-in for ${server}`, 'set SALLYPORT_USERNAME and SALLYPORT_PASSWORD');
  }
  return { server, username, password, stateDir };
}

function readDemo(stateDir: string): Demo | null {
  try {
    return demoFile.parse(JSON.parse(readFileSync(join(stateDir, 'demo.json'), 'utf8')));
  } catch {
    // Absent, half written or of another version: all the same as no demo.
    return null;
  }
}

function checkServer(text: string): string {
  const bad = (why: string) => new CliFailure(EXIT.usage, `server address ${why}`, 'give it as https://host:port');
  if (!URL.canParse(text)) throw bad('is not a URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw bad('holds a name or password; a URL ends up in logs and process lists');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw bad('must be http or https');
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) throw bad(`${url.origin} would send the password in plaintext; only loopback may be http`);
  if (url.pathname !== '/' || url.search !== '') throw bad('must have no path');
  return url.origin;
}

function isLoopback(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
