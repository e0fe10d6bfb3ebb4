import http, { type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { requestAuthentication } from '@sallyport/shared/resources';
import { fetchDocument } from './fetch.ts';
import { forbiddenKind } from './guard.ts';
import { fetchKeys, keySources } from './key-source.ts';

const { publicKey } = await generateKeyPair('ES256');
const JWKS = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] });
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener): Promise<{ port: number; url: string; paths: string[] }> {
  const paths: string[] = [];
  const server = http.createServer((req, res) => {
    paths.push(req.url ?? '');
    listener(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}`, paths };
}

const never = new AbortController().signal;
const allowed = { allowedHosts: ['127.0.0.1', 'localhost'], signal: never };
const text = (body: string): RequestListener => (_req, res) => void res.end(body);

describe('addresses that a stranger’s URL must not lead to', () => {
  it.each([
    ['127.0.0.1', 'loopback'], ['127.8.8.8', 'loopback'], ['::1', 'loopback'],
    ['10.0.0.1', 'private'], ['172.16.0.1', 'private'], ['192.168.1.1', 'private'], ['fd12::1', 'private'],
    ['169.254.169.254', 'link-local'], ['fe80::1', 'link-local'],
    ['fd00:ec2::254', 'private'], ['168.63.129.16', 'metadata service'], ['100.100.100.200', 'private (carrier-grade NAT)'],
    ['0.0.0.0', 'unspecified'], ['::', 'unspecified'], ['224.0.0.1', 'multicast'], ['ff02::1', 'multicast'], ['255.255.255.255', 'broadcast'],
    ['::ffff:127.0.0.1', 'loopback'], ['::ffff:a00:1', 'private'], ['::ffff:169.254.169.254', 'link-local'],
    ['64:ff9b::7f00:1', 'rfc6052'], ['2002:7f00:1::', '6to4'], ['2001::1', 'teredo'], ['fec0::1', 'deprecatedSiteLocal'], ['4000::1', 'reserved'],
    ['198.18.0.1', 'reserved'], ['240.0.0.1', 'reserved'], ['nonsense', 'unreadable'],
  ])('%s is %s', (address, kind) => {
    expect(forbiddenKind(address)).toBe(kind);
  });

  it.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is open to all', (address) => {
    expect(forbiddenKind(address)).toBeNull();
  });
});

describe('a fetch', () => {
  const refused: [string, string, RegExp][] = [
    ['a loopback address', 'http://127.0.0.1:1/', /leads to the loopback address 127\.0\.0\.1.*spec\.jwks\.allowedHosts/],
    ['another spelling of it', 'http://0x7f.1:1/', /loopback/],
    ['a decimal one', 'http://2130706433:1/', /loopback/],
    ['an IPv4-mapped one', 'http://[::ffff:127.0.0.1]:1/', /loopback/],
    ['the metadata service', 'http://169.254.169.254/latest/meta-data', /link-local/],
    ['a name of a loopback address', 'http://localhost:1/', /loopback/],
    ['a file', 'file:///etc/passwd', /only http and https/],
    ['credentials', 'https://user:hunter2@example.test/', /holds credentials/],
    ['no URL', 'nonsense', /is not a URL/],
  ];
  it.each(refused)('of %s is refused', async (_, url, message) => {
    const failure = await fetchDocument(url, { allowedHosts: [], signal: never }).catch((error: Error) => error.message);
    expect(failure).toMatch(message);
    expect(failure).not.toContain('hunter2');
  });

  it('of a name with one bad address among good ones is refused', async () => {
    const resolve = () => Promise.resolve([{ address: '8.8.8.8', family: 4 }, { address: '10.0.0.7', family: 4 }]);
    await expect(fetchDocument('https://issuer.test/', { allowedHosts: [], signal: never, resolve })).rejects.toThrow(/private address 10\.0\.0\.7/);
  });

  it('connects to the address that was checked, and asks no second time', async () => {
    const { port, paths } = await serve(text('here'));
    let asked = 0;
    const resolve = () => {
      asked += 1;
      return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    };
    const found = await fetchDocument(`http://issuer.test:${port}/keys`, { allowedHosts: [`issuer.test:${port}`], signal: never, resolve });
    expect([found.text, asked, paths]).toEqual(['here', 1, ['/keys']]);
  });

  it('is allowed by host and port, and not by another port', async () => {
    const { port, url } = await serve(text('x'));
    expect((await fetchDocument(url, { allowedHosts: [`127.0.0.1:${port}`], signal: never })).text).toBe('x');
    await expect(fetchDocument(url, { allowedHosts: ['127.0.0.1:1'], signal: never })).rejects.toThrow(/loopback/);
  });

  it('follows redirects that pass the same check, and no others', async () => {
    const inner = await serve(text('secret of the inner network'));
    const outer = await serve((req, res) => void res.writeHead(302, { location: req.url === '/in' ? `http://127.0.0.2:${inner.port}/` : `http://localhost:${inner.port}/` }).end());
    expect((await fetchDocument(`${outer.url}/out`, allowed)).text).toBe('secret of the inner network');
    await expect(fetchDocument(`${outer.url}/in`, allowed)).rejects.toThrow(/loopback address 127\.0\.0\.2/);
    expect(inner.paths).toHaveLength(1);
  });

  it('does not run in circles', async () => {
    const { url, paths } = await serve((_req, res) => void res.writeHead(307, { location: '/again' }).end());
    await expect(fetchDocument(url, allowed)).rejects.toThrow(/more than 3 redirects/);
    expect(paths).toHaveLength(4);
  });

  it.each<[string, RequestListener, RegExp]>([
    ['too much', (_req, res) => void res.end('x'.repeat(300_000)), /more than 256 KiB/],
    ['an error', (_req, res) => void res.writeHead(500).end('secret'), /answered 500 instead of 200/],
    ['nothing', (req) => void req.socket.destroy(), /cannot be reached/],
    ['half', (_req, res) => void res.writeHead(200, { 'content-length': 10 }).write('x', () => res.destroy()), /broke off/],
  ])('of %s fails with its reason', async (_, listener, message) => {
    const { url } = await serve(listener);
    await expect(fetchDocument(`${url}/keys?token=hunter2`, allowed)).rejects.toThrow(message);
    await expect(fetchDocument(`${url}/keys?token=hunter2`, allowed)).rejects.not.toThrow(/hunter2|secret/);
  });

  it.each<[string, RequestListener]>([
    ['never answers', () => undefined],
    ['never ends', (_req, res) => void res.writeHead(200).write('{"keys"')],
  ])('of a place that %s ends in time', async (_, listener) => {
    const { url } = await serve(listener);
    await expect(fetchDocument(url, { ...allowed, signal: AbortSignal.timeout(200) })).rejects.toThrow(/in time/);
  });

  it('ends in time while a name server keeps it waiting', async () => {
    const resolve = () => new Promise<never>(() => undefined);
    await expect(fetchDocument('https://issuer.test/', { allowedHosts: [], signal: AbortSignal.timeout(50), resolve })).rejects.toThrow(/in time/);
  });
});

describe('keys', () => {
  const sourceOf = (rule: object) => {
    const object = requestAuthentication.parse({ apiVersion: 'sallyport.dev/v1alpha1', kind: 'RequestAuthentication', metadata: { name: 'a', namespace: 'b' }, spec: { jwtRules: [rule] } });
    const [source] = keySources([object]);
    if (!source) throw new Error('no source');
    return source;
  };

  it('come from jwksUri', async () => {
    const { url } = await serve(text(JWKS));
    expect(await fetchKeys(sourceOf({ issuer: 'i', jwksUri: `${url}/keys` }), allowed)).toMatchObject([{ kty: 'EC', kid: 'one' }]);
  });

  it('come by discovery from the issuer, which must be the one that it is about', async () => {
    let issuer = '';
    const server = await serve((req, res) => void res.end(req.url === '/keys' ? JWKS : JSON.stringify({ issuer, jwks_uri: '/keys' })));
    issuer = server.url;
    expect(await fetchKeys(sourceOf({ issuer }), allowed)).toHaveLength(1);
    expect(server.paths).toEqual(['/.well-known/openid-configuration', '/keys']);
    issuer = 'https://somebody.else';
    await expect(fetchKeys(sourceOf({ issuer: server.url }), allowed)).rejects.toThrow(/is not about issuer/);
  });

  it('cannot be discovered past the guard', async () => {
    const server = await serve((_req, res) => void res.end(JSON.stringify({ issuer: server.url, jwks_uri: 'http://169.254.169.254/keys' })));
    await expect(fetchKeys(sourceOf({ issuer: server.url }), allowed)).rejects.toThrow(/link-local/);
  });

  it.each([
    ['a shared secret', JSON.stringify({ keys: [{ kty: 'oct', k: 'hunter2' }] }), /shared secret/],
    ['a point on no curve', JSON.stringify({ keys: [{ kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' }] }), /no key that OpenSSL can read/],
    ['a page for people', '<html>', /not JSON/],
  ])('are not taken from %s', async (_, body, message) => {
    const { url } = await serve(text(body));
    const fetching = fetchKeys(sourceOf({ issuer: 'i', jwksUri: url }), allowed);
    await expect(fetching).rejects.toThrow(message);
    await expect(fetching).rejects.not.toThrow(/hunter2/);
  });
});
