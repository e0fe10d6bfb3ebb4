import { describe, expect, it } from 'vitest';
import { InvalidSpiffeIdError, isTrustDomain, parseSpiffeId } from './index.ts';

// From the SPIFFE-ID standard, §2, and the rules that go-spiffe's spiffeid package tests. Where an older go-spiffe took a
// scheme in capitals or further characters, the standard as it stands today decides.
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const IN_TRUST_DOMAIN = new Set(`${LOWER}0123456789-._`);
const IN_PATH = new Set(`${LOWER}${LOWER.toUpperCase()}0123456789-._`);
const SWEEP = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));

const takes = (id: string): boolean => {
  try {
    return parseSpiffeId(id).uri === id;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSpiffeIdError);
    return false;
  }
};

describe('a SPIFFE ID', () => {
  it.each([
    ['spiffe://trustdomain', 'trustdomain', ''],
    ['spiffe://trustdomain/path', 'trustdomain', '/path'],
    ['spiffe://trustdomain/path/element', 'trustdomain', '/path/element'],
    ['spiffe://trustdomain/9eebccd2-12bf-40a6-b262-65fe0487d453', 'trustdomain', '/9eebccd2-12bf-40a6-b262-65fe0487d453'],
    ['spiffe://10.1.2.3/x', '10.1.2.3', '/x'],
    ['spiffe://a_b-c.d/A_b-c.d', 'a_b-c.d', '/A_b-c.d'],
    ['spiffe://td/...', 'td', '/...'],
    ['spiffe://td/.a/b..', 'td', '/.a/b..'],
  ])('%s is read', (id, trustDomain, path) => {
    expect(parseSpiffeId(id)).toMatchObject({ uri: id, trustDomain, path });
  });

  it.each([
    ['nothing at all', ''],
    ['no scheme', 'trustdomain/path'],
    ['an address with a port', '192.168.2.2:6688'],
    ['another scheme', 'http://trustdomain/path'],
    ['the scheme in capitals', 'SPIFFE://trustdomain/path'],
    ['the scheme in mixed case', 'Spiffe://trustdomain/path'],
    ['a space before the scheme', ' spiffe://trustdomain'],
    ['a scheme without its slashes', 'spiffe:trustdomain/path'],
    ['a scheme with one slash', 'spiffe:/trustdomain/path'],
    ['a scheme and nothing else', 'spiffe://'],
    ['an empty trust domain', 'spiffe:///path'],
    ['a trust domain in capitals', 'spiffe://TrustDomain/path'],
    ['user information', 'spiffe://user:password@trustdomain/path'],
    ['a user', 'spiffe://user@trustdomain/path'],
    ['a port', 'spiffe://trustdomain:8080/path'],
    ['a colon without a port', 'spiffe://trustdomain:/path'],
    ['an IPv6 address', 'spiffe://[::1]/path'],
    ['an escape in the trust domain', 'spiffe://trust%64omain/path'],
    ['a query', 'spiffe://trustdomain/path?query=1'],
    ['an empty query', 'spiffe://trustdomain/path?'],
    ['a query behind the trust domain', 'spiffe://trustdomain?query=1'],
    ['a fragment', 'spiffe://trustdomain/path#fragment'],
    ['an empty fragment', 'spiffe://trustdomain/path#'],
    ['a fragment behind the trust domain', 'spiffe://trustdomain#fragment'],
    ['a trailing slash', 'spiffe://trustdomain/path/'],
    ['a slash alone', 'spiffe://trustdomain/'],
    ['an empty segment', 'spiffe://trustdomain/path//element'],
    ['an empty first segment', 'spiffe://trustdomain//path'],
    ['a dot segment', 'spiffe://trustdomain/path/./element'],
    ['a final dot segment', 'spiffe://trustdomain/path/.'],
    ['a double dot segment', 'spiffe://trustdomain/path/../element'],
    ['a final double dot segment', 'spiffe://trustdomain/path/..'],
    ['a first double dot segment', 'spiffe://trustdomain/../path'],
    ['an escape in the path', 'spiffe://trustdomain/p%61th'],
    ['an encoded slash', 'spiffe://trustdomain/a%2Fb'],
    ['an encoded dot segment', 'spiffe://trustdomain/%2e%2e/path'],
    ['a broken escape', 'spiffe://trustdomain/path%5'],
    ['an ID as a path', 'spiffe://trustdomain/spiffe://trustdomain/path'],
    ['a trailing newline', 'spiffe://trustdomain/path\n'],
    ['a letter that is none of ASCII', 'spiffe://trustdomain/päth'],
    ['a wide character', 'spiffe://trustdomain/\u{1F600}'],
    ['a NUL at the end', 'spiffe://trustdomain/path\0'],
    ['a NUL and a second ID', 'spiffe://trustdomain/path\0spiffe://other/path'],
  ])('with %s is refused', (_, id) => {
    expect(takes(id)).toBe(false);
  });

  it('tells namespace and account of the form /ns/…/sa/… and of no other', () => {
    expect(parseSpiffeId('spiffe://td/ns/shop/sa/app')).toMatchObject({ namespace: 'shop', serviceAccount: 'app' });
    const others = ['spiffe://td', 'spiffe://td/ns/shop', 'spiffe://td/ns/shop/sa/app/x', 'spiffe://td/x/ns/shop/sa/app', 'spiffe://td/NS/shop/SA/app', 'spiffe://td/sa/app/ns/shop'];
    for (const other of others) expect(parseSpiffeId(other)).toMatchObject({ namespace: null, serviceAccount: null });
  });
});

describe('each character from 0 to 255', () => {
  it('stands in a trust domain or does not', () => {
    for (const character of SWEEP.filter((each) => each !== '/')) {
      for (const name of [`trustdom${character}ain`, `${character}x`, `x${character}`]) {
        const allowed = IN_TRUST_DOMAIN.has(character);
        expect({ name, takes: takes(`spiffe://${name}`) }).toEqual({ name, takes: allowed });
        expect({ name, takes: takes(`spiffe://${name}/path`) }).toEqual({ name, takes: allowed });
        expect({ name, takes: isTrustDomain(name) }).toEqual({ name, takes: allowed });
      }
    }
    expect(isTrustDomain('a/b')).toBe(false);
  });

  it('stands in a path or does not', () => {
    for (const character of SWEEP.filter((each) => each !== '/')) {
      const allowed = IN_PATH.has(character);
      for (const segment of [`path${character}x`, `${character}x`, `x${character}`]) {
        expect({ segment, takes: takes(`spiffe://trustdomain/${segment}`) }).toEqual({ segment, takes: allowed });
        expect({ segment, takes: takes(`spiffe://trustdomain/a/${segment}/b`) }).toEqual({ segment, takes: allowed });
      }
      expect({ character, takes: takes(`spiffe://trustdomain/${character}`) }).toEqual({ character, takes: allowed && character !== '.' });
    }
  });
});

describe('the limits of length', () => {
  it('are 255 bytes for a trust domain', () => {
    expect(isTrustDomain('')).toBe(false);
    expect(isTrustDomain('a'.repeat(255))).toBe(true);
    expect(isTrustDomain('a'.repeat(256))).toBe(false);
    expect(takes(`spiffe://${'a'.repeat(255)}/path`)).toBe(true);
    expect(takes(`spiffe://${'a'.repeat(256)}/path`)).toBe(false);
  });

  it('are 2048 bytes for the whole', () => {
    const start = 'spiffe://trustdomain/';
    expect(takes(start + 'a'.repeat(2048 - start.length))).toBe(true);
    expect(takes(start + 'a'.repeat(2049 - start.length))).toBe(false);
    expect(takes(start + 'a/'.repeat(100_000))).toBe(false);
  });
});
