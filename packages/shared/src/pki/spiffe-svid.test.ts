import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPeerLeaf, PeerLeafError } from './index.ts';

// The X.509-SVID standard, clause by clause, against certificates that openssl wrote.
const OPENSSL = process.env['OPENSSL'] ?? 'openssl';
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'x509-svid-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A certificate with these extensions, and a subject unless `subject` is empty. */
function leaf(extensions: readonly string[], subject = 'CN=x'): Buffer {
  const dn = subject === '' ? '' : subject.replace('=', ' = ');
  writeFileSync(join(directory, 'c.cnf'), `[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\n${dn}\n[v3]\n${extensions.join('\n')}\n`);
  const name = subject === '' ? ['-subj', '/'] : [];
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'k.pem', '-out', 'c.pem', '-days', '1', '-config', 'c.cnf'];
  execFileSync(OPENSSL, ['req', '-x509', ...options, ...name], { cwd: directory, stdio: 'pipe' });
  return new X509Certificate(readFileSync(join(directory, 'c.pem'))).raw;
}

/** Whether the check ends with an identity or with its own refusal, and in no other way. */
function outcome(der: Buffer): { orderly: boolean } {
  try {
    return { orderly: checkPeerLeaf(der).uri.startsWith('spiffe://') };
  } catch (error) {
    return { orderly: error instanceof PeerLeafError };
  }
}

const ID = 'spiffe://shop.test/ns/a/sa/b';
const USAGE = 'keyUsage=critical,digitalSignature';
const SAN = `subjectAltName=URI:${ID}`;

const refused: [clause: string, extensions: string[], reason: string][] = [
  // §2: "An X.509 SVID MUST contain exactly one URI SAN".
  ['§2, a second URI SAN', [USAGE, `${SAN},URI:spiffe://shop.test/c`], 'has 2 URI SANs'],
  ['§2, a second URI SAN that is no SPIFFE ID', [USAGE, `${SAN},URI:https://shop.test/c`], 'has 2 URI SANs'],
  ['§2, no URI SAN', [USAGE, 'subjectAltName=DNS:shop.test'], 'has 0 URI SANs'],
  ['§2, no SAN at all', [USAGE], 'has 0 URI SANs'],
  // §3.1: "Leaf certificate SPIFFE IDs MUST have a non-root path component."
  ['§3.1, the ID of a trust domain', [USAGE, 'subjectAltName=URI:spiffe://shop.test'], 'names a trust domain'],
  ['§3.1, a root path', [USAGE, 'subjectAltName=URI:spiffe://shop.test/'], 'not a SPIFFE ID'],
  // §4.1: "leaf certificates MUST set the `cA` field to `false`".
  ['§4.1, a CA', [USAGE, SAN, 'basicConstraints=critical,CA:TRUE'], 'is a CA'],
  ['§4.1, a CA of the quiet kind', [USAGE, SAN, 'basicConstraints=CA:TRUE,pathlen:0'], 'is a CA'],
  // §4.3: "The key usage extension MUST be set on all SVIDs, and MUST be marked critical."
  ['§4.3, no key usage', [SAN], 'no key usage'],
  ['§4.3, key usage that is not critical', ['keyUsage=digitalSignature', SAN], 'not critical'],
  // §4.3: "Leaf SVIDs MUST set `digitalSignature`."
  ['§4.3, no digitalSignature', ['keyUsage=critical,keyAgreement', SAN], 'lacks digitalSignature'],
  // §4.3: "Leaf SVIDs MUST NOT set `keyCertSign` or `cRLSign`."
  ['§4.3, keyCertSign', ['keyUsage=critical,digitalSignature,keyCertSign', SAN], 'signing certificates'],
  ['§4.3, cRLSign', ['keyUsage=critical,digitalSignature,cRLSign', SAN], 'signing certificates'],
  // §4.4: "When included, fields `id-kp-serverAuth` and `id-kp-clientAuth` MUST be set."
  ['§4.4, servers only', [USAGE, SAN, 'extendedKeyUsage=serverAuth'], 'extended key usage'],
  ['§4.4, clients only', [USAGE, SAN, 'extendedKeyUsage=clientAuth'], 'extended key usage'],
  ['§4.4, another purpose', [USAGE, SAN, 'extendedKeyUsage=codeSigning'], 'extended key usage'],
  // §5.2: "The validator MUST also ensure that the scheme of the SPIFFE ID is set to `spiffe`".
  ['§5.2, another scheme', [USAGE, 'subjectAltName=URI:https://shop.test/a'], 'scheme must be'],
];

const taken: [clause: string, extensions: string[]][] = [
  // §2: "An X.509 SVID MAY contain any number of other SAN field types, including DNS SANs."
  ['§2, DNS names and addresses beside the ID', [USAGE, `${SAN},DNS:a.shop.test,DNS:b.shop.test,IP:10.0.0.1`]],
  ['§4.1, no basic constraints', [USAGE, SAN, 'basicConstraints=CA:FALSE']],
  // §4.3: "They MAY set `keyEncipherment` and/or `keyAgreement`".
  ['§4.3, keyEncipherment and keyAgreement', ['keyUsage=critical,digitalSignature,keyEncipherment,keyAgreement', SAN]],
  // §4.4: "Leaf SVIDs SHOULD include this extension, and it MAY be marked as critical."
  ['§4.4, a critical extended key usage', [USAGE, SAN, 'extendedKeyUsage=critical,serverAuth,clientAuth']],
];

describe('an X.509-SVID leaf', () => {
  it.each(refused)('is refused: %s', (_clause, extensions, reason) => {
    const der = leaf(extensions);
    expect(() => checkPeerLeaf(der)).toThrow(PeerLeafError);
    expect(() => checkPeerLeaf(der)).toThrow(reason);
  });

  it.each(taken)('is taken: %s', (_clause, extensions) => {
    expect(checkPeerLeaf(leaf(extensions)).uri).toBe(ID);
  });

  // §3.1: "the URI SAN extension MUST be marked as critical if Subject is omitted, per section 4.1.2.6 of RFC 5280".
  it('without a subject needs a critical SAN (§3.1)', () => {
    expect(() => checkPeerLeaf(leaf([USAGE, SAN], ''))).toThrow('not critical');
    expect(checkPeerLeaf(leaf([USAGE, `subjectAltName=critical,URI:${ID}`], '')).uri).toBe(ID);
  });
});

describe('bytes that are no certificate', () => {
  it('are refused without a crash: every truncation, every flipped byte, BER lengths', () => {
    const der = leaf([USAGE, SAN]);
    for (let end = 0; end < der.length; end += 7) expect(() => checkPeerLeaf(der.subarray(0, end))).toThrow(PeerLeafError);
    for (let at = 0; at < der.length; at += 3) {
      const flipped = Buffer.from(der);
      flipped[at] = flipped[at]! ^ 0xff;
      expect({ at, ...outcome(flipped) }).toEqual({ at, orderly: true });
    }
    const indefinite = Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(4), Buffer.from([0, 0])]);
    expect(() => checkPeerLeaf(indefinite)).toThrow('not canonical DER');
    expect(() => checkPeerLeaf(Buffer.alloc(40_000, 0x30))).toThrow('too large');
    expect(() => checkPeerLeaf(Buffer.alloc(30_000, Buffer.from([0x30, 0x82, 0x75, 0x2c])))).toThrow(PeerLeafError);
  });

  // CVE-2021-44532 and its kin: a name that reads as two.
  it.each(['spiffe://shop.test/a\0', 'spiffe://shop.test/a", URI:spiffe://shop.test/b', 'spiffe://shop.test/%61'])('a SAN of %j is refused', (name) => {
    const der = leaf([USAGE, `subjectAltName=URI:spiffe://shop.test/${'x'.repeat(name.length - 'spiffe://shop.test/'.length)}`]);
    const at = der.indexOf('spiffe://shop.test/x');
    der.write(name, at, 'latin1');
    expect(() => checkPeerLeaf(der)).toThrow(PeerLeafError);
  });
});
