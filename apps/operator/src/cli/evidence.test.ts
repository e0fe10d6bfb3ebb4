import { createHash, generateKeyPairSync } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keyIdOf, packBundle, renderBundle, signBundle } from '@sallyport/shared/evidence';
import { anEvidenceModel } from '@sallyport/shared/testing';
import { unzipSync, zipSync } from 'fflate';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sallyport, scratch, TestApi } from './test-server.ts';

const keys = generateKeyPairSync('ed25519');
const publicKeyPem = keys.publicKey.export({ type: 'spki', format: 'pem' }) as string;
const keyId = keyIdOf(keys.publicKey);
const files = signBundle(renderBundle(anEvidenceModel({ keyId })), keys.privateKey);
const zip = packBundle(files);
const sha256 = createHash('sha256').update(zip).digest('hex');
let api: TestApi;
let folder: string;
let key: string;
const run = (...args: string[]) =>
  sallyport(args, { SALLYPORT_STATE: join(folder, 'state'), SALLYPORT_SERVER: api.url, SALLYPORT_USERNAME: 'ann', SALLYPORT_PASSWORD: 'secret' });
const verify = (path: string) => run('evidence', 'verify', path, '--key', key);

beforeAll(async () => {
  api = new TestApi();
  await api.listen();
});
afterAll(() => api.close());
beforeEach(() => {
  folder = scratch();
  key = join(folder, 'auditor.pub.pem');
  writeFileSync(key, publicKeyPem);
  api.answers.set('POST /evidence', [200, zip, { 'x-sallyport-sha256': sha256 }]);
  return () => rmSync(folder, { recursive: true });
});

async function exported(): Promise<string> {
  const out = join(folder, 'bundle');
  expect(await run('evidence', 'export', '--from', '2026-01-15', '--to', '2026-01-15T12:00:00Z', '-O', out)).toMatchObject({ code: 0 });
  return out;
}

describe('evidence', () => {
  it('goes from the server to a directory and to a zip, and both verify', async () => {
    const out = await exported();
    expect(api.received.at(-1)?.body).toEqual({ from: '2026-01-15T00:00:00.000Z', to: '2026-01-15T12:00:00.000Z' });
    expect(await verify(out)).toMatchObject({ code: 0, stdout: `${out}: ${files.size} files, all as they were signed\n` });
    const path = join(folder, 'bundle.zip');
    expect(await run('evidence', 'export', '--window', '1h', '-O', path)).toMatchObject({ code: 0 });
    expect(Buffer.compare(readFileSync(path), zip)).toBe(0);
    expect((await verify(path)).code).toBe(0);
    const json = await run('evidence', 'verify', path, '--key', key, '-o', 'json');
    expect(JSON.parse(json.stdout)).toEqual({ ok: true, files: files.size, problems: [] });
  });

  it('overwrites nothing', async () => {
    mkdirSync(join(folder, 'full'));
    writeFileSync(join(folder, 'full', 'x'), 'x');
    writeFileSync(join(folder, 'full.zip'), 'x');
    expect(await run('evidence', 'export', '--window', '1h', '-O', join(folder, 'full'))).toMatchObject({ code: 2, stderr: expect.stringContaining('not empty') });
    expect(await run('evidence', 'export', '--window', '1h', '-O', join(folder, 'full.zip'))).toMatchObject({ code: 2, stderr: expect.stringContaining('exists already') });
    expect(readFileSync(join(folder, 'full.zip'), 'utf8')).toBe('x');
  });

  it('takes no bundle that arrived damaged', async () => {
    api.answers.set('POST /evidence', [200, zip.subarray(0, 1000), { 'x-sallyport-sha256': sha256 }]);
    expect(await run('evidence', 'export', '--window', '1h', '-O', join(folder, 'b'))).toMatchObject({ code: 1, stderr: expect.stringContaining('damaged') });
    expect(readdirSync(folder)).not.toContain('b');
  });

  it('hands over the key apart from the bundle', async () => {
    api.answers.set('GET /evidence/key', [200, { keyId, publicKeyPem, fingerprint: keyId }]);
    expect((await run('evidence', 'key')).stdout).toBe(publicKeyPem);
    expect((await run('evidence', 'key', '-O', join(folder, 'k.pem'))).code).toBe(0);
    expect(readFileSync(join(folder, 'k.pem'), 'utf8')).toBe(publicKeyPem);
  });
});

describe('evidence verify', () => {
  it.each<[string, (out: string) => void, string]>([
    ['changed', (out) => appendFileSync(join(out, 'coverage.json'), ' '), 'coverage.json'],
    ['missing', (out) => rmSync(join(out, 'populations/edges.csv')), 'populations/edges.csv'],
    ['added', (out) => writeFileSync(join(out, 'note.txt'), 'x'), 'note.txt'],
    ['swapped', (out) => renameSync(join(out, 'queries.json'), join(out, 'coverage.json')), 'coverage.json'],
    ['unsafe-name', (out) => symlinkSync('/etc/hostname', join(out, 'link')), 'link'],
    ['missing', (out) => rmSync(join(out, 'attestation.dsse.json')), 'attestation.dsse.json'],
  ])('fails on a %s file and names it', async (kind, spoil, file) => {
    const out = await exported();
    spoil(out);
    const result = await run('evidence', 'verify', out, '--key', key, '-o', 'json');
    expect(result.code).toBe(1);
    expect((JSON.parse(result.stdout) as { problems: unknown[] }).problems).toContainEqual(expect.objectContaining({ kind, file }));
    expect(result.stderr).toContain('does not verify');
  });

  it('fails with another key, and says what a key is', async () => {
    const out = await exported();
    writeFileSync(key, generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
    expect(await verify(out)).toMatchObject({ code: 1, stdout: expect.stringContaining('wrong-key') });
    writeFileSync(key, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(await verify(out)).toMatchObject({ code: 2, stderr: expect.stringContaining('not a public key') });
    writeFileSync(key, publicKeyPem);
    expect(await verify(join(folder, 'nothing'))).toMatchObject({ code: 2, stderr: expect.stringContaining('no such file') });
  });

  it('fails on a zip with one byte changed anywhere in its framing, or packed by somebody else', async () => {
    const path = join(folder, 'b.zip');
    // Time and date of the first entry, comment length of the end record, external attributes in the directory.
    for (const at of [10, 12, zip.length - 1, zip.length - 30]) {
      const copy = Uint8Array.from(zip);
      copy[at] = (copy[at] ?? 0) ^ 1;
      writeFileSync(path, copy);
      expect(await verify(path)).toMatchObject({ code: 1, stdout: expect.stringContaining('b.zip') });
    }
    writeFileSync(path, zipSync(Object.fromEntries(files)));
    expect(await verify(path)).toMatchObject({ code: 1, stdout: expect.stringContaining('verify the directory instead') });
    writeFileSync(path, 'not a zip');
    expect(await verify(path)).toMatchObject({ code: 1, stdout: expect.stringContaining('not a zip that can be read') });
  });

  it('names the file that was changed inside a zip', async () => {
    const at = Buffer.from(zip).indexOf('How to verify this bundle');
    expect(at).toBeGreaterThan(0);
    const copy = Uint8Array.from(zip);
    copy[at] = (copy[at] ?? 0) ^ 1;
    writeFileSync(join(folder, 'b.zip'), copy);
    expect(await verify(join(folder, 'b.zip'))).toMatchObject({ code: 1, stdout: expect.stringMatching(/VERIFY\.md +changed/) });
  });

  it('reads the zip as other tools do', () => {
    expect(Object.keys(unzipSync(zip))).toEqual([...files.keys()].sort());
    for (const [name, content] of Object.entries(unzipSync(zip))) expect(Buffer.compare(content, files.get(name) ?? new Uint8Array())).toBe(0);
  });

  it('verifies a copy of the directory elsewhere', async () => {
    const out = await exported();
    cpSync(out, join(folder, 'copy'), { recursive: true });
    expect((await verify(join(folder, 'copy'))).code).toBe(0);
  });
});
