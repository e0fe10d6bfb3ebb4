import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { validateJwtSvid } from '@sallyport/shared/pki';
import { JwtIssuer } from './jwt.ts';
import { KeyFiles } from './key-files.ts';

const DAY = 86_400_000;
const ID = 'spiffe://shop.test/ns/shop/sa/web';
let directory: string;
let now = Date.now();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'jwt-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = () => JwtIssuer.open(new KeyFiles(directory), () => now);

it('has each key in the bundle before it signs and as long as what it signed is valid, across restarts', async () => {
  let issuer = await open();
  const first = issuer.keys.map(({ kid }) => kid);
  const token = () => issuer.sign(ID, ['reports']).token;
  const kidOf = (text: string) => (JSON.parse(Buffer.from(text.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
  expect({ keys: first.length, signs: first.includes(kidOf(token())) }).toEqual({ keys: 1, signs: true });
  const sequence = issuer.sequence;
  now += 4 * DAY;
  issuer = await open();
  const second = issuer.keys.map(({ kid }) => kid).find((kid) => !first.includes(kid));
  expect({ keys: issuer.keys.length, signs: kidOf(token()), grown: issuer.sequence > sequence }).toEqual({ keys: 2, signs: first[0], grown: true });
  now += 3 * DAY;
  const last = token();
  await issuer.tick();
  expect(kidOf(token())).toBe(second);
  expect(validateJwtSvid(last, 'reports', () => issuer.keys, now).id.uri).toBe(ID);
  now += DAY;
  await issuer.tick();
  expect(issuer.keys.map(({ kid }) => kid)).toEqual([second]);
  expect(readdirSync(directory).filter((name) => name.startsWith('jwt-'))).toEqual([`jwt-${second}.key`]);
});
