import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { duly, issueServing, readAuthorities, signing, type WebhookAuthority, writeAuthorities } from './webhook-ca.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 10, 25);
const policy = { authority: 100 * HOUR, spread: HOUR, serving: 24 * HOUR };

async function first(): Promise<WebhookAuthority> {
  const [authority] = await duly([], START, policy);
  if (!authority) throw new Error('none was made');
  return authority;
}
const x509 = ({ certificate }: WebhookAuthority) => new X509Certificate(certificate);

it('makes a CA where there is none, a successor at half of its life, and forgets what has ended', async () => {
  const one = [await first()];
  expect(await duly(one, START + 49 * HOUR, policy)).toBe(one);
  const two = await duly(one, START + 50 * HOUR, policy);
  expect(two).toEqual([one[0], expect.anything()]);
  expect(await duly(two, START + 99 * HOUR, policy)).toBe(two);
  expect(await duly(two, START + 100 * HOUR, policy)).toEqual([two[1], expect.anything()]);
  expect(await duly(two, START + 300 * HOUR, policy)).toHaveLength(1);
});

it('signs by the only CA at once, and by a successor when everybody has had time to learn of it', async () => {
  const two = await duly([await first()], START + 50 * HOUR, policy);
  expect(signing([], START, policy)).toBeUndefined();
  expect(signing([await first()], START, policy)).toBeDefined();
  expect(signing(two, START + 50 * HOUR, policy)).toBe(two[0]);
  expect(signing(two, START + 51 * HOUR, policy)).toBe(two[1]);
});

it('issues certificates for the names that the API server calls, within the life of the CA', async () => {
  const authority = await first();
  const { pair, renewAt, notAfter } = await issueServing(authority, ['a.b.svc', 'localhost'], START + 90 * HOUR, policy);
  const leaf = new X509Certificate(pair.cert);
  expect(leaf.subjectAltName).toBe('DNS:a.b.svc, DNS:localhost');
  expect(leaf.checkIssued(x509(authority)) && leaf.verify(x509(authority).publicKey)).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(notAfter).toBe(leaf.validToDate.getTime());
  expect(notAfter).toBe(x509(authority).validToDate.getTime());
  expect(renewAt).toBeGreaterThan(START + 90 * HOUR);
  expect(renewAt).toBeLessThan(notAfter);
});

it('reads what it wrote, and nothing else', async () => {
  const [one, two] = [await first(), await first()];
  expect(readAuthorities(writeAuthorities([one, two]))).toEqual([one, two]);
});

it.each([['', /JSON/], ['{}', /array/], ['[{"certificate":"x","key":"y"}]', /PEM|decoder/i]])('does not read %s', (text, message) => {
  expect(() => readAuthorities(text)).toThrow(message);
});

it('does not read a certificate with the key of another', async () => {
  const [one, two] = [await first(), await first()];
  expect(() => readAuthorities(writeAuthorities([{ certificate: one.certificate, key: two.key }]))).toThrow('a key that is not that of its certificate');
});
