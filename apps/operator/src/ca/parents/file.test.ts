import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leadsTo, MINUTE, TestCa, TRUST_DOMAIN } from '../ca.fixture.ts';
import { CorporateCa, keysFor, rsaKeysFor } from './corporate.fixture.ts';
import { FileParent } from './file.ts';

let ca: TestCa;
let corporate: CorporateCa;
let files: { certificateFile: string; keyFile: string };
beforeEach(async () => {
  ca = new TestCa();
  ca.now = Date.now();
  corporate = new CorporateCa(() => ca.now);
  files = { certificateFile: join(ca.directory, 'tls.crt'), keyFile: join(ca.directory, 'tls.pem') };
  ca.policy = { leaf: 60 * MINUTE, issuer: 600 * MINUTE, root: 6000 * MINUTE, manual: false };
  await ca.tick();
});
afterEach(() => {
  ca.parent?.close();
  ca.close();
});

/** The watch is off: only the poll can find a change. */
const follow = () => {
  ca.parent = new FileParent({ ...files, trustDomain: TRUST_DOMAIN, onChange: () => undefined, watch: false });
  ca.wanted = 'file';
};
const path = (name: string) => join(ca.directory, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: ca.directory, encoding: 'utf8', stdio: 'pipe' });

describe('a corporate intermediate in files', () => {
  it('takes over as any root does: published first, and active when every proxy has it', async () => {
    corporate.writeFiles(files);
    const before = await ca.issue();
    follow();
    ca.lagging = ['node-1'];
    await ca.tick();
    expect(ca.authority.roots()).toHaveLength(2);
    expect((await ca.issue()).issuer).toBe(before.issuer);
    ca.lagging = [];
    await ca.tick();
    const after = await ca.issue();
    expect(after.issuer).toBe('mesh intermediate');
    expect(leadsTo(after.chain, ca.authority.roots(), ca.now)).toBe(true);
    expect(leadsTo(before.chain, ca.authority.roots(), ca.now)).toBe(true);
  });

  it.each([['P-256', keysFor('m')], ['P-384', { subject: 'm', ...generateKeyPairSync('ec', { namedCurve: 'P-384' }) }], ['RSA', rsaKeysFor('m', 2048)]])('with a key of type %s is accepted by openssl, by its twin in the bundle and by the corporate root alone', async (_type, keys) => {
    corporate.writeFiles(files, {}, keys);
    follow();
    await ca.tick();
    const { chain } = await ca.issue();
    expect(chain).toHaveLength(3);
    const twin = ca.store.document.entries.find(({ role, state }) => role === 'root' && state === 'active');
    writeFileSync(path('leaf.pem'), chain[0] ?? '');
    writeFileSync(path('above.pem'), chain.slice(1).join(''));
    writeFileSync(path('twin.pem'), twin?.pem ?? '');
    writeFileSync(path('corporate.pem'), corporate.rootPem);
    for (const anchor of ['twin.pem', 'corporate.pem']) {
      expect(openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', anchor, '-untrusted', 'above.pem', 'leaf.pem')).toContain('OK');
    }
    expect(openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'twin.pem', 'twin.pem')).toContain('OK');
  });

  it('does not let a sibling of the same corporate CA mint identities of the mesh', async () => {
    corporate.writeFiles(files);
    follow();
    await ca.tick();
    const sibling = keysFor('sibling');
    const rogue = new TestCa();
    rogue.now = ca.now;
    const rogueFiles = { certificateFile: path('rogue.crt'), keyFile: path('rogue.pem') };
    corporate.writeFiles(rogueFiles, {}, sibling);
    rogue.parent = new FileParent({ ...rogueFiles, trustDomain: TRUST_DOMAIN, onChange: () => undefined, watch: false });
    rogue.wanted = 'file';
    await rogue.tick();
    const { chain } = await rogue.issue();
    expect(leadsTo(chain, [corporate.rootPem], ca.now)).toBe(true);
    expect(leadsTo(chain, ca.authority.roots(), ca.now)).toBe(false);
    rogue.close();
  });

  it('is found by the poll when it is swapped on the disk, and works after the files are gone', async () => {
    corporate.writeFiles(files);
    follow();
    await ca.tick();
    const second = corporate.writeFiles(files);
    await ca.tick();
    expect((await ca.issue()).chain[1]).toBe(second);
    rmSync(files.certificateFile);
    rmSync(files.keyFile);
    await expect(ca.tick()).rejects.toThrow('cannot be read (ENOENT)');
    expect((await ca.issue()).chain[1]).toBe(second);
    ca.open();
    expect((await ca.issue()).chain[1]).toBe(second);
  });

  it('goes back to the one before without a third root when the files are put back', async () => {
    const keys = keysFor('mesh intermediate');
    corporate.writeFiles(files, { serial: Buffer.from([99]) }, keys);
    follow();
    await ca.tick();
    const [crt] = [openssl('x509', '-in', 'tls.crt')];
    ca.lagging = ['node-1'];
    corporate.writeFiles(files);
    await ca.tick();
    expect(ca.states()).toContain('root published');
    writeFileSync(files.certificateFile, crt + corporate.policyPem + corporate.rootPem);
    await ca.tick();
    expect(ca.states()).not.toContain('root published');
  });
});

describe('a bad chain is refused, and the old one kept', () => {
  const other = keysFor('other');
  it.each<[string, (good: string) => void, RegExp]>([
    ['a key of another certificate', () => { corporate.writeFiles(files); writeFileSync(files.keyFile, other.privateKey.export({ type: 'pkcs8', format: 'pem' })); }, /key does not belong to the certificate/],
    ['no CA', () => corporate.writeFiles(files, { kind: { ca: false } }), /is no CA/],
    ['expired', () => corporate.writeFiles(files, { notBefore: ca.now - 2 * MINUTE, notAfter: ca.now - MINUTE }), /the intermediate expired at/],
    ['of the future', () => corporate.writeFiles(files, { notBefore: ca.now + 5 * MINUTE }), /is not valid before/],
    ['for other names', () => corporate.writeFiles(files, { kind: { ca: true, pathLength: 0, permittedHost: 'other.test' } }), /do not allow trust domain shop\.test/],
    ['a weak key', () => corporate.writeFiles(files, {}, rsaKeysFor('weak', 1024)), /RSA of at least 2048/],
    ['out of order', (good) => writeFileSync(files.certificateFile, good + corporate.rootPem + corporate.policyPem), /put the intermediate first/],
    ['without a certificate', () => writeFileSync(files.certificateFile, 'nothing'), /no certificate in PEM/],
    ['too long', (good) => writeFileSync(files.certificateFile, good.repeat(9)), /has 9 certificates/],
    ['not DER', () => writeFileSync(files.certificateFile, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'), /cannot be read/],
    ['without a key', () => { corporate.writeFiles(files); writeFileSync(files.keyFile, 'nothing'); }, /no private key in PEM/],
    ['a path length that forbids it', () => writeFileSync(files.certificateFile, shortPath()), /path length of 0, and 1 is needed/],
  ])('%s', async (_name, spoil, reason) => {
    const good = corporate.writeFiles(files);
    follow();
    await ca.tick();
    const roots = ca.authority.roots();
    spoil(good);
    await expect(ca.tick()).rejects.toThrow(reason);
    expect(ca.authority.roots()).toEqual(roots);
    expect((await ca.issue()).chain[1]).toBe(good);
  });

  /** The intermediate under a policy CA that allows none below it. */
  function shortPath(): string {
    const policy = new CorporateCa(() => ca.now);
    const narrow = keysFor('narrow');
    const narrowPem = policy.certify('narrow', narrow.publicKey, { kind: { ca: true, pathLength: 0 } });
    const keys = keysFor('below');
    writeFileSync(files.keyFile, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return policy.certifyBelow(narrow, 'below', keys.publicKey) + narrowPem + policy.policyPem;
  }
});

it('ends the wait after a refusal when the watch sees a change', async () => {
  let changes = 0;
  corporate.writeFiles(files);
  const parent = new FileParent({ ...files, trustDomain: TRUST_DOMAIN, onChange: () => { changes += 1; } });
  corporate.writeFiles(files);
  await expect.poll(() => changes, { timeout: 20_000 }).toBeGreaterThan(0);
  parent.close();
});
