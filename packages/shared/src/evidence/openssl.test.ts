import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { anEvidenceModel } from '../testing/index.ts';
import { keyIdOf, renderBundle, signBundle } from './index.ts';

const keys = generateKeyPairSync('ed25519');
const files = signBundle(renderBundle(anEvidenceModel({ keyId: keyIdOf(keys.publicKey) })), keys.privateKey);
const root = mkdtempSync(join(tmpdir(), 'evidence-'));
const key = join(root, 'auditor.pub.pem');
let bundle: string;
afterAll(() => rmSync(root, { recursive: true }));

beforeEach(() => {
  bundle = mkdtempSync(join(root, 'bundle-'));
  for (const [name, content] of files) {
    mkdirSync(dirname(join(bundle, name)), { recursive: true });
    writeFileSync(join(bundle, name), content);
  }
  writeFileSync(key, keys.publicKey.export({ type: 'spki', format: 'pem' }));
});

/** Runs the shell blocks of the bundle's own VERIFY.md, each as it stands, in one shell. */
function followGuide() {
  const guide = readFileSync(join(bundle, 'VERIFY.md'), 'utf8');
  const blocks = [...guide.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
  const result = spawnSync('sh', ['-c', blocks.join('\n')], { cwd: bundle, env: { PATH: process.env['PATH'], KEY: key, TMPDIR: root }, encoding: 'utf8' });
  const output = `${result.stdout}${result.stderr}`;
  return { blocks: blocks.length, output, lines: output.split('\n') };
}

describe('VERIFY.md', () => {
  it('verifies the bundle with openssl, sha256sum and a shell alone', () => {
    const { blocks, output, lines } = followGuide();
    expect(blocks).toBe(5);
    expect(lines[0]).toBe(`${keyIdOf(keys.publicKey)}  -`);
    expect(output).toContain('Signature Verified Successfully');
    expect(lines.filter((line) => line.endsWith(': OK'))).toHaveLength(files.size - 1);
    expect(output).toContain('Nothing added or missing');
    expect(output).toContain('No symbolic links');
    const [size, said, hash, root] = lines.slice(lines.indexOf('No symbolic links') + 1);
    expect(size?.trim()).toBe(said);
    expect(said).toBe('4');
    expect(hash).toBe(`${root}  -`);
  });

  it('shows a changed file, an added one, a missing one and a symbolic link', () => {
    appendFileSync(join(bundle, 'coverage.json'), ' ');
    writeFileSync(join(bundle, 'extra.txt'), 'x');
    rmSync(join(bundle, 'queries.json'));
    symlinkSync('/etc/hostname', join(bundle, 'link'));
    const { output, lines } = followGuide();
    expect(lines).toContain('coverage.json: FAILED');
    expect(lines).toEqual(expect.arrayContaining(['> extra.txt', '> link', '< queries.json']));
    expect(output).not.toContain('Nothing added');
    expect(output).not.toContain('No symbolic links');
  });

  it('shows a signature by another key and a changed statement', () => {
    writeFileSync(key, generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
    expect(followGuide().output).toContain('Signature Verification Failure');
    writeFileSync(key, keys.publicKey.export({ type: 'spki', format: 'pem' }));
    const envelope = readFileSync(join(bundle, 'attestation.dsse.json'), 'utf8');
    writeFileSync(join(bundle, 'attestation.dsse.json'), envelope.replace('"payload":"ey', '"payload":"ez'));
    expect(followGuide().output).toContain('Signature Verification Failure');
  });
});
