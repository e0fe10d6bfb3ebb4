import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Vault, vaultProgram } from '../../../../../tools/vault/vault.ts';
import { leadsTo, MINUTE, TestCa, TRUST_DOMAIN } from '../ca.fixture.ts';
import { VaultParent } from './vault.ts';

const program = vaultProgram();
const MOUNT = 'pki/mesh';

/** The one thing that docs/certificate-authority.md says a token needs. */
const POLICY = `path "${MOUNT}/root/sign-intermediate" { capabilities = ["update"] }`;

describe.skipIf('missing' in program)('a real Vault as the parent', { timeout: 120_000 }, () => {
  let vault: Vault;
  let root: string;
  let ca: TestCa;
  const tokenFile = () => join(ca.directory, 'token');
  const tokenOf = async (...policies: string[]) => ((await vault.ask('POST', 'auth/token/create', { policies, no_default_policy: true, ttl: '1h' })) as { auth: { client_token: string } }).auth.client_token;

  beforeAll(async () => {
    if ('missing' in program) return;
    vault = await Vault.start(program.path);
    await vault.ask('POST', `sys/mounts/${MOUNT}`, { type: 'pki', config: { max_lease_ttl: '8760h' } });
    const made = await vault.ask('POST', `${MOUNT}/root/generate/internal`, { common_name: 'Corporate Root', key_type: 'ec', key_bits: 256, ttl: '8000h' });
    root = (made as { data: { certificate: string } }).data.certificate;
    await vault.ask('PUT', 'sys/policies/acl/mesh', { policy: POLICY });
  }, 120_000);
  afterAll(() => vault.stop());
  beforeEach(async () => {
    ca = new TestCa();
    ca.now = Date.now();
    ca.policy = { leaf: 60 * MINUTE, issuer: 600 * MINUTE, root: 6000 * MINUTE, manual: false };
    await ca.tick();
    writeFileSync(tokenFile(), await tokenOf('mesh'));
    ca.parent = new VaultParent({ address: vault.address, mount: MOUNT, tokenFile: tokenFile(), timeout: '20s' }, TRUST_DOMAIN);
    ca.wanted = 'vault';
  });
  afterEach(() => ca.close());

  it('signs an intermediate, under which SVIDs lead to our bundle and to its root', async () => {
    await ca.tick();
    const { chain, issuer } = await ca.issue();
    expect(issuer).toBe('shop.test issuing');
    expect(leadsTo(chain, ca.authority.roots(), ca.now)).toBe(true);
    expect(leadsTo(chain, [root], ca.now)).toBe(true);
  });

  it('signs another at half of its life, for another key, with the token of the moment', async () => {
    await ca.tick();
    const before = ca.authority.roots();
    writeFileSync(tokenFile(), await tokenOf('mesh'));
    ca.now += 301 * MINUTE;
    await ca.tick();
    const { chain } = await ca.issue();
    expect(leadsTo(chain, before, ca.now)).toBe(false);
    expect(leadsTo(chain, ca.authority.roots(), ca.now)).toBe(true);
    expect(leadsTo(chain, [root], ca.now)).toBe(true);
  });

  it('refuses a token without the policy and one that was revoked, and the present CA goes on', async () => {
    const roots = ca.authority.roots();
    const spoiled = await tokenOf('mesh');
    await vault.ask('POST', 'auth/token/revoke', { token: spoiled });
    for (const token of [await tokenOf('other'), spoiled]) {
      writeFileSync(tokenFile(), token);
      await expect(ca.tick()).rejects.toThrow(/did not sign \(status 403\): .*permission denied.*check the token’s policy on pki\/mesh\/root\/sign-intermediate/s);
    }
    expect(ca.authority.roots()).toEqual(roots);
    expect(leadsTo((await ca.issue()).chain, roots, ca.now)).toBe(true);
  });
});
