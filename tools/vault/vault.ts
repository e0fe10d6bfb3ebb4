import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildGoProgram, cachedGoProgram } from '../go-program.ts';

/** 1,700 packages on two cores that have much else to do. */
const BUILD_MS = 45 * 60_000;

/** The program, or why it cannot be had. */
type VaultProgram = { readonly path: string } | { readonly missing: string };

/** What SALLYPORT_VAULT_SERVER names, else what `npm run test:vault` built into the cache. Not built here: it takes too long. */
export function vaultProgram(): VaultProgram {
  const path = process.env['SALLYPORT_VAULT_SERVER'] ?? '';
  const found = path === '' ? cachedGoProgram(import.meta.dirname) : path;
  if (found !== null) return { path: found };
  const missing = 'there is no Vault. Run npm run test:vault, which builds it once';
  console.warn(`SKIPPED: Vault as the parent of the CA was checked against a stand-in ONLY: ${missing}`);
  return { missing };
}

/** Builds it into the cache unless it is there. @returns why that cannot be done, or null */
export async function buildVault(say: (text: string) => void): Promise<string | null> {
  if (cachedGoProgram(import.meta.dirname) !== null) return null;
  say('building Vault’s core once; from nothing that takes about four minutes of processor time');
  const built = await buildGoProgram(import.meta.dirname, BUILD_MS);
  return 'missing' in built ? built.missing : null;
}

/** A real Vault in memory, on loopback. */
export class Vault {
  readonly address: string;
  readonly #token: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, line: string) {
    this.#child = child;
    [this.address = '', this.#token = ''] = line.split(' ');
  }

  /** @throws Error when it ends before it serves */
  static async start(path: string): Promise<Vault> {
    const child = spawn(path, [], { stdio: ['ignore', 'pipe', 'ignore'] });
    const line = new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      child.once('exit', () => reject(new Error('Vault ended before it served')));
    });
    return new Vault(child, await line);
  }

  /** Asks with the root token. @returns the answer's body @throws Error when it is refused */
  async ask(method: 'GET' | 'POST' | 'PUT', path: string, body: object): Promise<unknown> {
    const answer = await fetch(`${this.address}/v1/${path}`, { method, headers: { 'x-vault-token': this.#token, 'content-type': 'application/json' }, ...(method === 'GET' ? {} : { body: JSON.stringify(body) }) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }
}
