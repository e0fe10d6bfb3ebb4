import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPeerLeaf, createCsr, fromPem, type Issuer, issueCertificate, PeerLeafError, readCsr, renewalTime, toPem } from './index.ts';

const NOW = Date.now();
const HOUR = 3_600_000;
const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pki-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function authority(): { root: Issuer; rootPem: string; issuing: Issuer; issuingPem: string } {
  const root = { subject: 'root', ...newKeys() };
  const issuing = { subject: 'issuing', ...newKeys() };
  const times = { notBefore: NOW - 60_000, notAfter: NOW + HOUR };
  const rootPem = issueCertificate({ ...times, subject: 'root', uri: 'spiffe://shop.test', serial: Buffer.from([1]), kind: { ca: true, pathLength: null } }, root.publicKey, root);
  const issuingPem = issueCertificate({ ...times, subject: 'issuing', uri: 'spiffe://shop.test', serial: Buffer.from([0x80]), kind: { ca: true, pathLength: 0 } }, issuing.publicKey, root);
  return { root, rootPem, issuing, issuingPem };
}

// An implementation that is not ours, wherever the machine has it.
const OPENSSL = process.env['OPENSSL'] ?? 'openssl';
const openssl = (...args: string[]) => execFileSync(OPENSSL, args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });

describe('certificates that we issue', () => {
  it('pass openssl verify -x509_strict as a chain of leaf, intermediate and root', () => {
    const { rootPem, issuing, issuingPem } = authority();
    const leaf = issueCertificate(
      { subject: '', uri: 'spiffe://shop.test/ns/a/sa/b', notBefore: NOW - 60_000, notAfter: NOW + HOUR, serial: Buffer.from('ff01', 'hex'), kind: { ca: false } },
      newKeys().publicKey,
      issuing,
    );
    writeFileSync(join(directory, 'root.pem'), rootPem);
    writeFileSync(join(directory, 'issuing.pem'), issuingPem);
    writeFileSync(join(directory, 'leaf.pem'), leaf);
    expect(openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem')).toContain('leaf.pem: OK');
    expect(new X509Certificate(leaf).subjectAltName).toBe('URI:spiffe://shop.test/ns/a/sa/b');
    expect(checkPeerLeaf(new X509Certificate(leaf).raw).serviceAccount).toBe('b');
  });
});

describe('checkPeerLeaf', () => {
  const extension = (name: string, lines: string) => {
    const config = `[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN=x\n[v3]\n${lines}\n`;
    writeFileSync(join(directory, `${name}.cnf`), config);
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'k.pem', '-out', `${name}.pem`, '-days', '1', '-config', `${name}.cnf`);
    return new X509Certificate(openssl('x509', '-in', `${name}.pem`)).raw;
  };
  const good = 'keyUsage=critical,digitalSignature\nsubjectAltName=URI:spiffe://shop.test/ns/a/sa/b';

  it.each([
    ['ca', `basicConstraints=critical,CA:TRUE\n${good}`, 'is a CA'],
    ['two', 'keyUsage=critical,digitalSignature\nsubjectAltName=URI:spiffe://shop.test/a,URI:spiffe://shop.test/b', '2 URI SANs'],
    ['none', 'keyUsage=critical,digitalSignature\nsubjectAltName=DNS:shop.test', '0 URI SANs'],
    ['usage', 'subjectAltName=URI:spiffe://shop.test/a', 'no key usage'],
    ['sign', 'keyUsage=critical,digitalSignature,keyCertSign\nsubjectAltName=URI:spiffe://shop.test/a', 'signing certificates'],
    ['eku', `extendedKeyUsage=serverAuth\n${good}`, 'extended key usage'],
    ['domain', 'keyUsage=critical,digitalSignature\nsubjectAltName=URI:spiffe://shop.test', 'trust domain'],
    ['scheme', 'keyUsage=critical,digitalSignature\nsubjectAltName=URI:https://shop.test/a', 'not a SPIFFE ID'],
  ])('refuses %s', (name, lines, reason) => {
    expect(() => checkPeerLeaf(extension(name, lines))).toThrow(reason);
  });

  it('accepts a leaf that openssl made', () => {
    expect(checkPeerLeaf(extension('good', good)).uri).toBe('spiffe://shop.test/ns/a/sa/b');
  });

  it('refuses bytes after the certificate and truncated input', () => {
    const der = extension('good2', good);
    expect(() => checkPeerLeaf(Buffer.concat([der, Buffer.from([0])]))).toThrow(PeerLeafError);
    expect(() => checkPeerLeaf(der.subarray(0, 40))).toThrow(PeerLeafError);
  });
});

describe('certificate requests', () => {
  it('are readable by openssl and give back the key', () => {
    const keys = newKeys();
    const csr = createCsr(keys);
    writeFileSync(join(directory, 'r.csr'), csr);
    expect(openssl('req', '-in', 'r.csr', '-verify', '-noout', '-subject')).toBeDefined();
    expect(readCsr(csr).equals(keys.publicKey)).toBe(true);
  });

  it('are refused without possession of the key, for another kind of key, and when they are not DER', () => {
    const der = fromPem('CERTIFICATE REQUEST', createCsr(newKeys()));
    const forged = Buffer.from(der);
    forged[der.length - 3] = (forged[der.length - 3] ?? 0) ^ 1;
    expect(() => readCsr(toPem('CERTIFICATE REQUEST', forged))).toThrow(/possession|canonical/);
    openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'k2.pem', '-subj', '/CN=x', '-out', 'rsa.csr');
    expect(() => readCsr(openssl('req', '-in', 'rsa.csr'))).toThrow('ecdsa-with-SHA256');
    expect(() => readCsr('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n')).toThrow('canonical DER');
    expect(() => readCsr('x'.repeat(20_000))).toThrow('larger');
  });
});

describe('renewalTime', () => {
  it('is half of the lifetime, give or take a tenth of that half', () => {
    expect(renewalTime(0, 24 * HOUR, 0.5)).toBe(12 * HOUR);
    expect(renewalTime(0, 24 * HOUR, 0)).toBe(10.8 * HOUR);
    expect(renewalTime(0, 24 * HOUR, 0.999999)).toBeLessThanOrEqual(13.2 * HOUR);
  });
});
