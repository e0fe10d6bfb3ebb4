import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { requestAuthentication, type JwtRule } from '../resources/index.ts';
import { keySourceOf, readKeySet } from './index.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicRsa = rsa.publicKey.export({ format: 'jwk' });
const publicEc = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const publicEd = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
const set = (...keys: unknown[]) => JSON.stringify({ keys });

describe('a key set', () => {
  it('is read down to what verifies signatures', () => {
    const read = readKeySet(set({ ...publicRsa, kid: 'a', alg: 'RS256', x5c: ['MII'], use: 'sig' }, publicEc, publicEd));
    expect(read).toEqual([{ ...publicRsa, kid: 'a', alg: 'RS256' }, publicEc, publicEd]);
  });

  it('loses the keys that are for something else, or unknown', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    const others = [{ ...publicRsa, use: 'enc' }, { ...publicEc, key_ops: ['encrypt'] }, { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' }, { kty: 'new' }, weak, 7];
    expect(readKeySet(set(...others, publicEd))).toEqual([publicEd]);
    expect(() => readKeySet(set(...others))).toThrow(/no key that can verify/);
  });

  it.each([
    ['a shared secret', set(publicEd, { kty: 'oct', k: 'c2VjcmV0' }), /keys\[1\] is a shared secret/],
    ['a secret under another type', set({ ...publicRsa, k: 'c2VjcmV0' }), /keys\[0\]/],
    ['a private key', set(rsa.privateKey.export({ format: 'jwk' })), /keys\[0\]/],
    ['more keys than are taken', set(...Array.from({ length: 33 }, () => publicEd)), /33 keys/],
    ['no JSON', '<html>', /not JSON/],
    ['another object', '{"kids":[]}', /not a JSON Web Key Set/],
    ['nothing', 'null', /not a JSON Web Key Set/],
  ])('is refused for %s, and the secret is not told', (_, text, message) => {
    expect(() => readKeySet(text)).toThrow(message);
    expect(() => readKeySet(text)).not.toThrow(/c2VjcmV0/);
  });
});

describe('where keys come from', () => {
  const rule = (fields: object): JwtRule => {
    const object = requestAuthentication.parse({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'RequestAuthentication', metadata: { name: 'a', namespace: 'b' }, spec: { jwtRules: [fields] } });
    return object.spec.jwtRules[0] as JwtRule;
  };

  it.each([
    [{ issuer: 'https://i.test/', jwksUri: 'https://k.test/keys' }, 'https://k.test/keys'],
    [{ issuer: 'https://i.test/realm/' }, 'https://i.test/realm/.well-known/openid-configuration'],
    [{ issuer: 'https://i.test' }, 'https://i.test/.well-known/openid-configuration'],
    [{ issuer: 'somebody' }, null],
    [{ issuer: 'https://i.test', jwks: '{"keys":[]}' }, null],
  ])('%j', (fields, source) => {
    expect(keySourceOf(rule(fields))).toBe(source);
  });
});
