import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { createPrivateKey } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type KeyedCertificate, TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { freePort } from '../../test/mesh.ts';
import { Credentials } from '../identity/credentials.ts';
import { TrustBundle } from '../identity/trust.ts';
import { parseAddress } from './address.ts';
import { dialMesh } from './dial.ts';

const ca = new TestCa();
const api = workloadUri('pay', 'api');
let directory: string;
let server: tls.Server | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dial-'));
});
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** Credentials of `shop/web`, as a renewal would have installed them. */
function credentials(): Credentials {
  const bundle = new TrustBundle(TRUST_DOMAIN);
  bundle.replace([ca.root]);
  const spiffeId = workloadUri('shop', 'web');
  const { key, cert } = ca.leaf(spiffeId);
  const held = new Credentials(spiffeId, bundle);
  held.install({ spiffeId, serial: '1', notBefore: 0, notAfter: Date.now() + 60_000, renewAt: 0, chain: [cert], privateKey: createPrivateKey(key) });
  return held;
}

/** Serves one identity and says whether any application byte arrived. */
async function serve(identity: KeyedCertificate): Promise<{ port: number; bytes: () => number }> {
  let bytes = 0;
  server = tls.createServer({ ...identity, ca: ca.root, requestCert: true, rejectUnauthorized: true }, (socket) => {
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  return { port, bytes: () => bytes };
}

describe('dialMesh', () => {
  it('takes the expected identity', async () => {
    const { port } = await serve(ca.leaf(api));
    const link = await dialMesh({ host: '127.0.0.1', port }, api, credentials(), false);
    expect((link.socket as tls.TLSSocket).getProtocol()).toBe('TLSv1.3');
    link.destroy();
  });

  const past = { notBefore: Date.now() - 7_200_000, notAfter: Date.now() - 3_600_000 };
  const refusals: [string, () => KeyedCertificate, RegExp][] = [
    ['another identity', () => ca.leaf(workloadUri('pay', 'other')), /expected spiffe/],
    ['a foreign root', () => new TestCa('foreign').leaf(api), /TLS handshake: .*(self-signed|unable to)/],
    ['an expired leaf', () => ca.leaf(api, past), /expired/],
    ['a leaf that is a CA', () => ca.leaf(api, { kind: { ca: true, pathLength: null } }), /CA|purpose|path length/i],
    ['two URI SANs, the first of which is expected', () => ca.twoUriLeaf(directory, api, workloadUri('pay', 'evil')), /URI SAN/],
    ['a leaf that is for clients alone', () => ca.leafFor(directory, api, 'clientAuth'), /unsuitable certificate purpose/],
    ['a leaf that is for servers alone', () => ca.leafFor(directory, api, 'serverAuth'), /extended key usage lacks serverAuth or clientAuth/],
    ['the expected path in another trust domain', () => ca.leaf(workloadUri('pay', 'api', 'other.test')), /permitted subtree violation/],
  ];
  it.each(refusals)('refuses %s before a byte is sent', async (_name, identity, message) => {
    const { port, bytes } = await serve(identity());
    const error = await dialMesh({ host: '127.0.0.1', port }, api, credentials(), false).catch((problem: unknown) => problem);
    expect(error).toMatchObject({ name: 'DialError', reason: 'upstream-identity', message: expect.stringMatching(message) as string });
    expect(bytes()).toBe(0);
  });

  it('says that nobody answers, and names the place', async () => {
    const port = await freePort();
    await expect(dialMesh({ host: '127.0.0.1', port }, api, credentials(), false)).rejects.toMatchObject({ reason: 'upstream-unreachable', message: expect.stringContaining(`127.0.0.1:${port}`) as string });
    const silent = net.createServer((socket) => void socket.destroy());
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    await expect(dialMesh({ host: '127.0.0.1', port }, api, credentials(), false)).rejects.toMatchObject({ reason: 'upstream-unreachable' });
    silent.close();
  });
});

it.each([
  ['unix:/run/a.sock', { path: '/run/a.sock' }],
  ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
  ['[::1]:8080', { host: '::1', port: 8080 }],
  ['localhost:1', { host: '127.0.0.1', port: 1 }],
])('reads the address %s', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
});
