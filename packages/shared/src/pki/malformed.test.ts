import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { bits, encode, integer, nothing, octets, oid, sequence, set, tagged, utf8 } from './der.ts';
import { createCsr, fromPem, InvalidCsrError, readCaCertificate, readCsr, toPem } from './index.ts';

const directory = mkdtempSync(join(tmpdir(), 'csr-'));
afterAll(() => rmSync(directory, { recursive: true }));
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const good = fromPem('CERTIFICATE REQUEST', createCsr(keys));
const read = (der: Uint8Array) => readCsr(toPem('CERTIFICATE REQUEST', der));
const OPENSSL = process.env['OPENSSL'] ?? 'openssl';
const openssl = (...args: string[]) => execFileSync(OPENSSL, args, { cwd: directory, stdio: 'pipe' });

/** A request with an extensionRequest for the names, rightly signed. */
function requestFor(...names: Buffer[]): Buffer {
  const san = sequence(oid('2.5.29.17'), octets(encode(sequence(...names.map((name) => tagged(6, name))))));
  const attribute = sequence(oid('1.2.840.113549.1.9.14'), set(sequence(san)));
  const info = sequence(integer(Buffer.from([0])), sequence(), decodeSpki(), tagged(0, [attribute]));
  return encode(sequence(info, sequence(oid('1.2.840.10045.4.3.2')), bits(sign('sha256', encode(info), keys.privateKey))));
}

function decodeSpki() {
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  return sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), bits(spki.subarray(-65)));
}

/** `length` levels of SEQUENCE. */
function nested(levels: number): Buffer {
  let der = Buffer.from([0x05, 0x00]);
  for (let level = 0; level < levels && der.length < 12_000; level += 1) {
    const length = der.length < 0x80 ? Buffer.from([der.length]) : Buffer.from([0x82, der.length >> 8, der.length & 0xff]);
    der = Buffer.concat([Buffer.from([0x30]), length, der]);
  }
  return der;
}

describe('a malformed request is refused, and nothing crashes', () => {
  it.each<[string, () => Uint8Array]>([
    ['of BER with an indefinite length', () => Buffer.concat([Buffer.from([0x30, 0x80]), good.subarray(good[1] === 0x81 ? 3 : 2), Buffer.from([0, 0])])],
    ['of BER with a length that is not the shortest', () => Buffer.concat([Buffer.from([0x30, 0x82, 0x00, good.length - (good[1] === 0x81 ? 3 : 2)]), good.subarray(good[1] === 0x81 ? 3 : 2)])],
    ['with bytes after it', () => Buffer.concat([good, Buffer.from([0])])],
    ['cut short', () => good.subarray(0, good.length - 10)],
    ['nested 10,000 deep', () => nested(10_000)],
    ['with a NUL in a name', () => requestFor(Buffer.from('spiffe://shop.test/ns/a/sa/b\0.evil'))],
    ['with a quote in a name', () => requestFor(Buffer.from('spiffe://shop.test/ns/a", URI:spiffe://shop.test/admin'))],
    ['with a line break in the second name', () => requestFor(Buffer.from('spiffe://shop.test/a'), Buffer.from('a\nb'))],
    ['that is NULL', () => encode(nothing())],
    ['that is empty', () => encode(sequence())],
    ['of other types', () => encode(sequence(utf8('a'), sequence(utf8('b')), bits(Buffer.alloc(64))))],
    ['without possession of the key', () => { const other = Buffer.from(requestFor()); other[60] = (other[60] ?? 0) ^ 1; return other; }],
  ])('%s', (_name, make) => {
    expect(() => read(make())).toThrow(InvalidCsrError);
  });

  it('with RSA of 512 bits, or of any', () => {
    writeFileSync(join(directory, 'rsa.cnf'), '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=x\n');
    openssl('req', '-new', '-newkey', 'rsa:512', '-nodes', '-keyout', 'k', '-out', 'rsa.csr', '-config', 'rsa.cnf');
    expect(() => readCsr(readFileSync(join(directory, 'rsa.csr'), 'utf8'))).toThrow('ecdsa-with-SHA256');
  });

  it('larger than 16 KiB, in whatever it is large', () => {
    expect(() => read(requestFor(Buffer.alloc(20_000, 'a')))).toThrow('larger than 16384');
    expect(() => readCsr(`${'\n'.repeat(20_000)}${toPem('CERTIFICATE REQUEST', good)}`)).toThrow('larger than 16384');
  });

  it('but one that asks for an honest name is read for its key alone', () => {
    expect(read(requestFor(Buffer.from('spiffe://shop.test/ns/shop/sa/admin'))).equals(keys.publicKey)).toBe(true);
  });
});

describe('a malformed CA certificate', () => {
  it.each([['nested deep', nested(10_000)], ['NULL', encode(nothing())], ['a request', good], ['empty', Buffer.alloc(0)]])('%s is refused', (_name, der) => {
    expect(() => readCaCertificate(toPem('CERTIFICATE', der))).toThrow('not one X.509 certificate');
  });
});
