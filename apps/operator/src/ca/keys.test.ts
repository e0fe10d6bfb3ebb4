import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueCertificate } from '@sallyport/shared/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leadsTo, MINUTE, START, TestCa, TRUST_DOMAIN } from './ca.fixture.ts';

let ca: TestCa;
beforeEach(async () => {
  ca = new TestCa();
});
afterEach(() => ca.close());

const path = (name: string) => join(ca.directory, name);
const keyFiles = () => readdirSync(ca.directory).filter((name) => name.endsWith('.key'));

describe('keys on the disk', () => {
  it('are wrapped, and only their owner may read them and the key that wraps them', async () => {
    await ca.tick();
    expect(keyFiles()).toHaveLength(2);
    for (const name of [...keyFiles(), 'kek', 'ca.json']) expect(statSync(path(name)).mode & 0o777).toBe(0o600);
    for (const name of readdirSync(ca.directory)) expect(readFileSync(path(name), 'latin1')).not.toContain('PRIVATE KEY');
  });

  it('open under a KEK from a file, in each of its forms', async () => {
    const key = randomBytes(32);
    for (const form of [key.toString('base64'), `${key.toString('hex')}\n`, key]) {
      writeFileSync(path('mounted'), form);
      ca.open(path('mounted'));
      await ca.tick();
      expect((await ca.issue()).chain).toHaveLength(2);
    }
    expect(existsSync(path('kek'))).toBe(false);
  });

  it('stay as they are under a wrong, missing or unusable KEK, and the error says what to do', async () => {
    await ca.tick();
    const before = keyFiles().map((name) => readFileSync(path(name), 'utf8'));
    renameSync(path('kek'), path('lost'));
    ca.open();
    await expect(ca.issue()).rejects.toThrow(/kek is not there; restore it, or set SALLYPORT_KEK_FILE/);
    expect(existsSync(path('kek'))).toBe(false);
    writeFileSync(path('other'), randomBytes(32).toString('base64'));
    ca.open(path('other'));
    await expect(ca.issue()).rejects.toThrow('wrapped under another key-encryption key');
    writeFileSync(path('short'), 'secret');
    ca.open(path('short'));
    await expect(ca.issue()).rejects.toThrow('openssl rand -base64 32');
    expect(keyFiles().map((name) => readFileSync(path(name), 'utf8'))).toEqual(before);
    ca.open(path('lost'));
    expect((await ca.issue()).chain).toHaveLength(2);
  });

  it('are refused under another name, when damaged, and when gone', async () => {
    await ca.tick();
    const [root, issuer] = ca.store.document.entries;
    const wrapped = readFileSync(path(`${issuer?.id}.key`), 'utf8');
    writeFileSync(path(`${issuer?.id}.key`), readFileSync(path(`${root?.id}.key`)));
    await expect(ca.issue()).rejects.toThrow('damaged or stands under another name');
    writeFileSync(path(`${issuer?.id}.key`), '{"sallyport":"wrapped-key"}');
    await expect(ca.issue()).rejects.toThrow('no wrapped key');
    rmSync(path(`${issuer?.id}.key`));
    await expect(ca.issue()).rejects.toThrow('is not there; restore');
    writeFileSync(path(`${issuer?.id}.key`), wrapped);
    expect((await ca.issue()).chain).toHaveLength(2);
  });
});

describe('the files of the first versions', () => {
  const firstLayout = () => {
    const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const root = { subject: 'shop.test root 1', ...pair() };
    const issuing = { subject: 'shop.test issuing 1', ...pair() };
    const times = { notBefore: START - MINUTE, notAfter: START + 1000 * MINUTE, uri: `spiffe://${TRUST_DOMAIN}` };
    writeFileSync(path('root.pem'), issueCertificate({ ...times, subject: root.subject, serial: Buffer.from([1]), kind: { ca: true, pathLength: null } }, root.publicKey, root));
    writeFileSync(path('issuing.pem'), issueCertificate({ ...times, subject: issuing.subject, serial: Buffer.from([2]), kind: { ca: true, pathLength: 0 } }, issuing.publicKey, root));
    writeFileSync(path('root.key'), root.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(path('issuing.key'), issuing.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(path('issuers.json'), JSON.stringify(['shop.test issuing 0', 'shop.test issuing 1']));
  };

  it('are taken over: same root, wrapped keys, no plain one left', async () => {
    firstLayout();
    const root = readFileSync(path('root.pem'), 'utf8');
    ca.open();
    expect(ca.authority.roots()).toEqual([root]);
    expect(leadsTo((await ca.issue()).chain, [root], ca.now)).toBe(true);
    expect(ca.authority.issuerNames()).toEqual(['shop.test issuing 0', 'shop.test issuing 1']);
    expect(readdirSync(ca.directory).filter((name) => /^(root|issuing|issuers)/.test(name))).toEqual([]);
    for (const name of keyFiles()) expect(readFileSync(path(name), 'utf8')).not.toContain('PRIVATE KEY');
    ca.open();
    expect(ca.authority.roots()).toEqual([root]);
  });

  it('are refused when key and certificate are of two backups', () => {
    firstLayout();
    writeFileSync(path('root.key'), generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(() => ca.open()).toThrow('root.key does not belong to root.pem');
  });
});

describe('the state directory', () => {
  it('is refused when it is of another trust domain or cannot be read', async () => {
    await ca.tick();
    const text = readFileSync(path('ca.json'), 'utf8');
    writeFileSync(path('ca.json'), text.replace('"shop.test"', '"other.test"'));
    expect(() => ca.open()).toThrow('of trust domain other.test');
    writeFileSync(path('ca.json'), text.slice(0, 100));
    expect(() => ca.open()).toThrow('restore the state directory');
  });
});

it('issues what openssl accepts strictly: root, issuer, workload and operator', async () => {
  ca.now = Date.now();
  ca.open();
  ca.policy = { ...ca.policy, leaf: 60 * MINUTE, issuer: 600 * MINUTE, root: 6000 * MINUTE };
  await ca.tick();
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: ca.directory, encoding: 'utf8', stdio: 'pipe' });
  for (const id of ['spiffe://shop.test/ns/shop/sa/web', 'spiffe://shop.test/sallyport/operator', 'spiffe://shop.test/sallyport/proxy/node-1']) {
    const { chain } = await ca.issue(id);
    writeFileSync(path('leaf.pem'), chain[0] ?? '');
    writeFileSync(path('issuer.pem'), chain[1] ?? '');
    for (const purpose of ['sslclient', 'sslserver']) {
      expect(openssl('verify', '-x509_strict', '-check_ss_sig', '-purpose', purpose, '-CAfile', 'bundle.pem', '-untrusted', 'issuer.pem', 'leaf.pem')).toContain('OK');
    }
  }
  expect(openssl('verify', '-x509_strict', '-CAfile', 'bundle.pem', 'issuer.pem')).toContain('OK');
  expect(openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'bundle.pem', 'bundle.pem')).toContain('OK');
  expect(openssl('x509', '-in', 'issuer.pem', '-noout', '-text')).toMatch(/Name Constraints: critical\s+Permitted:\s+URI:shop\.test/);
});

it('issues under name constraints that openssl enforces', async () => {
  ca.now = Date.now();
  ca.open();
  await ca.tick();
  const { chain } = await ca.issue('spiffe://other.test/ns/shop/sa/web');
  writeFileSync(path('leaf.pem'), chain[0] ?? '');
  writeFileSync(path('issuer.pem'), chain[1] ?? '');
  expect(() => execFileSync('openssl', ['verify', '-CAfile', path('bundle.pem'), '-untrusted', path('issuer.pem'), path('leaf.pem')], { stdio: 'pipe' })).toThrow('permitted subtree violation');
});
