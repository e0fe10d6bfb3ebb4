import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { type Issuer, issueCertificate } from '@sallyport/shared/pki';
import { type KeyedCertificate, TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { until } from '../../test/mesh.ts';
import { dialMesh } from '../listener/dial.ts';
import { Credentials } from './credentials.ts';
import { chainProblem, workloadIdentity } from './peer.ts';
import { type Denylist, TrustBundle } from './trust.ts';

const OTHER = 'other.test';
const own = new TestCa('own');
const other = new TestCa('other');
const web = workloadUri('shop', 'web');
const foreign = workloadUri('pay', 'api', OTHER);
const nobody: Denylist = { serials: [], spiffeIds: [] };
let servers: tls.Server[] = [];

afterEach(() => {
  for (const server of servers) server.close();
  servers = [];
});

function trust(federated: ReadonlyMap<string, readonly string[]> = new Map([[OTHER, [other.root]]]), denylist = nobody): TrustBundle {
  const bundle = new TrustBundle(TRUST_DOMAIN);
  federate(bundle, federated, denylist);
  return bundle;
}

function federate(bundle: TrustBundle, federated: ReadonlyMap<string, readonly string[]>, denylist = nobody): void {
  const bundles = new Map([...federated].map(([name, roots]) => [name, { roots, jwtKeys: [] }]));
  bundle.update({ roots: [own.root], jwtKeys: [], federated: bundles, denylist });
}

function credentials(bundle: TrustBundle, { key, cert } = own.leaf(web)): Credentials {
  const held = new Credentials(web, bundle);
  held.install({ spiffeId: web, serial: '1', notBefore: 0, notAfter: Date.now() + 60_000, renewAt: 0, chain: [cert], privateKey: createPrivateKey(key) });
  return held;
}

/** A server of ours; what it says of each peer. */
async function ourServer(bundle: TrustBundle): Promise<{ port: number; verdicts: string[] }> {
  const verdicts: string[] = [];
  const server = tls.createServer({ ...credentials(bundle).options(), requestCert: true, rejectUnauthorized: true });
  server.on('tlsClientError', (_error, socket) => verdicts.push(chainProblem(String(socket.authorizationError))));
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    try {
      verdicts.push(workloadIdentity(socket, bundle).uri);
    } catch (error) {
      verdicts.push((error as Error).message);
      socket.destroy();
    }
  });
  return { port: await listen(server), verdicts };
}

function theirServer(identity: KeyedCertificate): Promise<number> {
  const server = tls.createServer({ ...identity, requestCert: true, rejectUnauthorized: false });
  server.on('secureConnection', (socket) => socket.on('error', () => undefined));
  return listen(server);
}

async function listen(server: tls.Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function connectTo(port: number, identity: KeyedCertificate): tls.TLSSocket {
  const socket = tls.connect({ host: '127.0.0.1', port, ...identity, rejectUnauthorized: false, servername: '' });
  return socket.on('error', () => undefined);
}

const dial = (port: number, expected: string, bundle: TrustBundle) => dialMesh({ host: '127.0.0.1', port }, expected, credentials(bundle), false);

// Trust Domain and Bundle §3: "validators must choose the bundle corresponding to the trust domain that the SVID resides in".
describe('a bundle vouches for its own trust domain alone, on live handshakes', () => {
  it('takes a peer of a federated trust domain, as server and as client', async () => {
    const bundle = trust();
    const { port, verdicts } = await ourServer(bundle);
    const socket = connectTo(port, other.leaf(foreign));
    await until('a verdict', () => verdicts[0]);
    expect(verdicts).toEqual([foreign]);
    socket.destroy();
    const link = await dial(await theirServer(other.leaf(foreign)), foreign, bundle);
    link.destroy();
  });

  const forgeries: [string, () => KeyedCertificate, string][] = [
    ['the foreign CA names one of ours', () => other.leaf(web), web],
    ['our CA names one of theirs', () => own.leaf(foreign), foreign],
    ['the foreign CA names a third trust domain', () => other.leaf(workloadUri('a', 'b', 'third.test')), workloadUri('a', 'b', 'third.test')],
    ['the foreign CA names a domain below its own', () => other.leaf(workloadUri('a', 'b', `sub.${OTHER}`)), workloadUri('a', 'b', `sub.${OTHER}`)],
  ];
  it.each(forgeries)('refuses when %s, as server and as client', async (_what, identity, name) => {
    const bundle = trust();
    const { port, verdicts } = await ourServer(bundle);
    const socket = connectTo(port, identity());
    await until('a verdict', () => verdicts[0]);
    expect(verdicts).toEqual([expect.stringContaining('may not vouch for this name')]);
    socket.destroy();
    await expect(dial(await theirServer(identity()), name, bundle)).rejects.toMatchObject({ reason: 'upstream-identity', message: expect.stringContaining('permitted subtree violation') as string });
  });

  it('takes nobody of a trust domain that is not federated', async () => {
    const bundle = trust(new Map());
    const { port, verdicts } = await ourServer(bundle);
    const socket = connectTo(port, other.leaf(foreign));
    await until('a verdict', () => verdicts[0]);
    expect(verdicts[0]).toMatch(/SELF_SIGNED|UNABLE_TO/);
    socket.destroy();
    await expect(dial(await theirServer(other.leaf(foreign)), foreign, bundle)).rejects.toMatchObject({ reason: 'upstream-identity' });
  });

  it('takes no control plane of a federated trust domain for a workload', async () => {
    const { port, verdicts } = await ourServer(trust());
    const socket = connectTo(port, other.leaf(`spiffe://${OTHER}/sallyport/operator`));
    await until('a verdict', () => verdicts[0]);
    expect(verdicts[0]).toContain('not a workload identity');
    socket.destroy();
  });
});

describe('what the root says of itself', () => {
  const hour = 3_600_000;
  function rootAndLeaf(root: { notAfter: number; pathLength: number | null }): { root: string; leaf: KeyedCertificate } {
    const issuer = (subject: string): Issuer => ({ subject, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) });
    const [top, middle, holder] = [issuer('top'), issuer('middle'), issuer('')];
    const times = { notBefore: Date.now() - 2 * hour, notAfter: Date.now() + hour, serial: randomBytes(16) };
    const rootPem = issueCertificate({ ...times, notAfter: root.notAfter, subject: 'top', uri: null, kind: { ca: true, pathLength: root.pathLength } }, top.publicKey, top);
    const middlePem = issueCertificate({ ...times, subject: 'middle', uri: null, kind: { ca: true, pathLength: 0 } }, middle.publicKey, top);
    const leafPem = issueCertificate({ ...times, subject: '', uri: foreign, kind: { ca: false } }, holder.publicKey, middle);
    return { root: rootPem, leaf: { key: String(holder.privateKey.export({ type: 'pkcs8', format: 'pem' })), cert: leafPem + middlePem } };
  }

  it.each([
    ['an expired root is not revived', { notAfter: Date.now() - hour, pathLength: 1 }, /CERT_HAS_EXPIRED/],
    ['a path length is kept', { notAfter: Date.now() + hour, pathLength: 0 }, /PATH_LENGTH_EXCEEDED/],
    ['and a good one is taken', { notAfter: Date.now() + hour, pathLength: 1 }, /^spiffe:/],
  ])('stands under the bridge: %s', async (_what, shape, verdict) => {
    const { root, leaf } = rootAndLeaf(shape);
    const { port, verdicts } = await ourServer(trust(new Map([[OTHER, [root]]])));
    const socket = connectTo(port, leaf);
    await until('a verdict', () => verdicts[0]);
    expect(verdicts[0]).toMatch(verdict);
    socket.destroy();
  });
});

describe('an open connection is closed at once', () => {
  const cases: [string, (bundle: TrustBundle, serial: string) => void][] = [
    ['its SPIFFE ID comes onto the denylist', (bundle) => federate(bundle, new Map([[OTHER, [other.root]]]), { serials: [], spiffeIds: [foreign] })],
    ['its serial number does', (bundle, serial) => federate(bundle, new Map([[OTHER, [other.root]]]), { serials: [serial], spiffeIds: [] })],
    ['its trust domain is no longer federated', (bundle) => federate(bundle, new Map())],
  ];
  it.each(cases)('when %s, and no new one is taken', async (_what, forbid) => {
    const bundle = trust();
    const { port, verdicts } = await ourServer(bundle);
    const serial = randomBytes(16);
    serial[0] = 0x40;
    const identity = other.leaf(foreign, { serial });
    const [bad, good] = [connectTo(port, identity), connectTo(port, own.leaf(web))];
    const closed = new Promise((resolve) => bad.once('close', resolve));
    await until('both to be taken', () => verdicts.length === 2);
    const link = await dial(await theirServer(identity), foreign, bundle);
    const linkClosed = new Promise<void>((resolve) => link.attach({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => resolve() }));
    forbid(bundle, serial.toString('hex'));
    await Promise.all([closed, linkClosed]);
    expect(good.destroyed).toBe(false);
    const again = connectTo(port, identity);
    await until('a third verdict', () => verdicts[2]);
    expect(verdicts[2]).toMatch(/denylist|another trust domain|SELF_SIGNED|UNABLE_TO/);
    good.destroy();
    again.destroy();
  });
});
