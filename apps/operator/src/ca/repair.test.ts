import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leadsTo, MINUTE, TestCa, TRUST_DOMAIN } from './ca.fixture.ts';

let ca: TestCa;
beforeEach(async () => {
  ca = new TestCa();
  ca.now = Date.now() - 60 * MINUTE;
  await ca.tick();
  ca.now = Date.now();
});
afterEach(() => ca.close());

const CLI = new URL('../cli/main.ts', import.meta.url).pathname;

/** The command as a person runs it, without an operator, a database or a network. */
async function repair(...more: string[]) {
  const args = ['ca', 'repair', '--state-dir', ca.directory, '--trust-domain', TRUST_DOMAIN, ...more];
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' } });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

/** Issues as the operator does after its next start. */
async function works(): Promise<boolean> {
  ca.open();
  ca.now = Date.now() + 2_000;
  return leadsTo((await ca.issue()).chain, ca.authority.roots(), ca.now);
}

const keyOf = (role: string) => join(ca.directory, `${ca.store.document.entries.find((entry) => entry.role === role && entry.state === 'active')?.id}.key`);

describe('sallyport ca repair --offline', { timeout: 180_000 }, () => {
  it('makes a CA whose root has expired issue again, and says what proxies need', async () => {
    await expect(ca.issue()).rejects.toThrow('expired');
    const { code, out, err } = await repair('--offline');
    expect([code, err]).toEqual([0, expect.stringMatching(/found: root shop.test root \w+ expired[\s\S]*bundle\.pem in the place of SALLYPORT_BOOTSTRAP_BUNDLE_FILE/)]);
    expect(out).toMatch(/^ROLE +MADE\nroot +shop\.test root \w{8}\nissuer +shop\.test issuing \w{8}\n$/);
    expect(await works()).toBe(true);
    expect(readFileSync(join(ca.directory, 'bundle.pem'), 'utf8')).toBe(ca.authority.roots().join(''));
  });

  it('leaves a sound CA alone, and a sound root when only the issuer is lost', async () => {
    expect((await repair('--offline')).code).toBe(0);
    const again = await repair('--offline', '-o', 'json');
    expect([again.code, JSON.parse(again.out)]).toEqual([0, { problems: [], made: [], newRoot: false, bundleFile: join(ca.directory, 'bundle.pem') }]);
    ca.open();
    const roots = ca.authority.roots();
    rmSync(keyOf('issuer'));
    const { err } = await repair('--offline');
    expect(err).toContain('is gone');
    expect(err).not.toContain('SALLYPORT_BOOTSTRAP_BUNDLE_FILE');
    expect(await works()).toBe(true);
    expect(ca.authority.roots()).toEqual(roots);
  });

  it('does not throw keys away because the wrong KEK was given, unless told to, and keeps them even then', async () => {
    writeFileSync(join(ca.directory, 'wrong'), randomBytes(32).toString('base64'));
    await repair('--offline');
    const kek = ['--kek-file', join(ca.directory, 'wrong')];
    const refused = await repair('--offline', ...kek);
    expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/another key-encryption key[\s\S]*--abandon-keys/)]);
    expect((await repair('--offline', '--abandon-keys', ...kek)).code).toBe(0);
    expect(readdirSync(ca.directory).filter((name) => name.endsWith('.abandoned')).length).toBeGreaterThanOrEqual(2);
    ca.open(join(ca.directory, 'wrong'));
    expect(leadsTo((await ca.issue()).chain, ca.authority.roots(), Date.now())).toBe(true);
  });

  it('wants to be told that no operator runs, and where', async () => {
    expect([(await repair()).code, (await repair('--offline', '--issuer-lifetime', 'soon')).code]).toEqual([2, 2]);
    const elsewhere = await repair('--offline', '--state-dir', '/nowhere');
    expect([elsewhere.code, elsewhere.err]).toEqual([1, expect.stringContaining('/nowhere is not there')]);
    const other = await repair('--offline', '--trust-domain', 'other.test');
    expect([other.code, other.err]).toEqual([1, expect.stringContaining('of trust domain shop.test')]);
  });

  it('is noticed by an operator that ran on: it does not overwrite what was repaired', async () => {
    expect((await repair('--offline')).code).toBe(0);
    await expect(ca.rotation.rotateRoot()).rejects.toThrow('changed by another process');
  });
});
