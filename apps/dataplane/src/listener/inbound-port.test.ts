import net from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { proxySpiffeId } from '@sallyport/shared/mesh';
import { type KeyedCertificate, TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { addPeerMode, addPolicy, addWorkload, baseEntries, call, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let entries: Entries;
let reached: number;

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  reached = 0;
  const app = await mesh.app((_req, res) => {
    reached += 1;
    res.end('app');
  });
  entries = baseEntries(mesh.operator.ca.root);
  addWorkload(entries, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
  await mesh.proxy('b');
  await mesh.configure('b', entries);
});
afterEach(() => mesh.close());

const GET = 'GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n';

/** Speaks to the port as a mesh peer with `identity`, trusting the mesh's root, and returns what it is answered. */
function asPeer(identity: Partial<KeyedCertificate>, options: tls.ConnectionOptions = {}): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, ...identity, ca: mesh.operator.ca.root, servername: '', checkServerIdentity: () => undefined, ...options });
  return raw(socket, GET);
}

/** Any line of a private key, as it stands in its PEM. */
function secretsOf({ key = '' }: Partial<KeyedCertificate>): RegExp {
  const lines = key.split('\n').filter((line) => line.length > 16 && !line.startsWith('-----'));
  return new RegExp(['PRIVATE KEY', ...lines.map((line) => line.replace(/[+/=]/g, '\\$&'))].join('|'));
}

const plaintext = () => raw(net.connect(port, '127.0.0.1'), GET);
const peer = () => mesh.operator.ca.leaf(workloadUri('shop', 'web'));

describe('handshake', () => {
  it('takes a workload of the trust domain, by TLS 1.3 and without resumption', async () => {
    expect(await asPeer(peer())).toContain('200 OK');
    const sessions: Buffer[] = [];
    const socket = tls.connect({ host: '127.0.0.1', port, ...peer(), ca: mesh.operator.ca.root, servername: '', checkServerIdentity: () => undefined });
    socket.on('session', (session) => sessions.push(session));
    const identity = await new Promise((resolve) => socket.once('secureConnect', () => resolve({ protocol: socket.getProtocol(), id: socket.getPeerX509Certificate()?.subjectAltName })));
    expect(identity).toEqual({ protocol: 'TLSv1.3', id: `URI:${workloadUri('pay', 'api')}` });
    expect(await raw(socket, GET)).toContain('200 OK');
    const again = tls.connect({ host: '127.0.0.1', port, ...peer(), ca: mesh.operator.ca.root, servername: '', checkServerIdentity: () => undefined, ...(sessions[0] ? { session: sessions[0] } : {}) });
    await new Promise((resolve) => again.once('secureConnect', resolve));
    expect(again.isSessionReused()).toBe(false);
    again.destroy();
  });

  const hour = 3_600_000;
  const refusals: [string, () => Partial<KeyedCertificate>, RegExp][] = [
    ['nobody', () => ({}), /PEER_DID_NOT_RETURN_A_CERTIFICATE/],
    ['a foreign root', () => new TestCa('foreign').leaf(workloadUri('shop', 'web')), /certificate chain: (SELF_SIGNED|UNABLE_TO)/],
    ['an expired leaf', () => mesh.operator.ca.leaf(workloadUri('shop', 'web'), { notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour }), /certificate chain: CERT_HAS_EXPIRED/],
    ['a leaf of the future', () => mesh.operator.ca.leaf(workloadUri('shop', 'web'), { notBefore: Date.now() + hour, notAfter: Date.now() + 2 * hour }), /certificate chain: CERT_NOT_YET_VALID/],
    ['a leaf that is a CA', () => mesh.operator.ca.leaf(workloadUri('shop', 'web'), { kind: { ca: true, pathLength: null } }), /CA|INVALID_PURPOSE|PATH_LENGTH/],
    ['a leaf with two URI SANs', () => mesh.operator.ca.twoUriLeaf(mesh.directory, workloadUri('shop', 'web'), workloadUri('admin', 'root')), /exactly one URI|URI SAN/],
    ['a leaf that is for servers alone', () => mesh.operator.ca.leafFor(mesh.directory, workloadUri('shop', 'web'), 'serverAuth'), /certificate chain: INVALID_PURPOSE/],
    ['a leaf that is for clients alone', () => mesh.operator.ca.leafFor(mesh.directory, workloadUri('shop', 'web'), 'clientAuth'), /extended key usage lacks serverAuth or clientAuth/],
    ['a leaf without SPIFFE ID', () => mesh.operator.ca.leaf('', { uri: null, subject: 'web' }), /URI SAN|SPIFFE|name/],
    ['another trust domain under our root', () => mesh.operator.ca.leaf(workloadUri('shop', 'web', 'other.test')), /another trust domain/],
    ['a proxy’s own identity', () => mesh.operator.ca.leaf(proxySpiffeId(TRUST_DOMAIN, 'a')), /not a workload identity/],
  ];
  it.each(refusals)('refuses %s, saying why, and counts it', async (_name, identity, reason) => {
    const presented = identity();
    expect(await asPeer(presented)).toBe('');
    expect(reached).toBe(0);
    const line = await until('a log line', () => mesh.logs.find(({ msg }) => msg === 'handshake refused'));
    expect(line).toMatchObject({ handshake: expect.stringMatching(reason) as string, ip: '127.0.0.1', namespace: 'pay', workload: 'api', port });
    expect(JSON.stringify(mesh.logs)).not.toMatch(secretsOf(presented));
    const flows = await mesh.flows('b');
    expect(countOf(flows, (flow) => flow.reason === 'peer-not-verified' && flow.verdict === 'failed' && flow.mtls === 'unknown' && flow.source.ip === '127.0.0.1')).toBe(1);
    expect(mesh.operator.reports.flatMap((report) => report.denies).map((deny) => deny.reason)).toEqual(['peer-not-verified']);
  });

  it('refuses TLS 1.2', async () => {
    expect(await asPeer(peer(), { maxVersion: 'TLSv1.2' })).toBe('');
    expect(reached).toBe(0);
  });
});

describe('mTLS mode', () => {
  it('PERMISSIVE takes both on the same port; STRICT refuses plaintext on the wire, counts it, and closes what was open', async () => {
    expect(await plaintext()).toContain('200 OK');
    expect(await asPeer(peer())).toContain('200 OK');
    const open = net.connect(port, '127.0.0.1');
    open.write(GET.replace('Connection: close\r\n', ''));
    await new Promise((resolve) => open.once('data', resolve));
    const closed = new Promise((resolve) => open.once('close', resolve));
    addPeerMode(entries, 'pay', 'STRICT');
    await mesh.configure('b', entries);
    await closed;
    reached = 0;
    expect(await plaintext()).toBe('');
    expect(reached).toBe(0);
    expect(await asPeer(peer())).toContain('200 OK');
    const flows = await mesh.flows('b');
    expect(countOf(flows, (flow) => flow.reason === 'plaintext-refused' && flow.mtls === 'plaintext' && flow.verdict === 'denied' && flow.policy === 'pay/default')).toBe(1);
    expect(countOf(flows, (flow) => flow.mtls === 'plaintext' && flow.verdict === 'allowed')).toBe(2);
    expect(countOf(flows, (flow) => flow.mtls === 'mutual' && flow.verdict === 'allowed')).toBe(2);
    expect(mesh.operator.reports.flatMap((report) => report.denies)).toMatchObject([{ reason: 'plaintext-refused', source: { principal: null, ip: '127.0.0.1' } }]);
  });

  it('DISABLE takes plaintext only', async () => {
    addPeerMode(entries, 'pay', 'DISABLE');
    await mesh.configure('b', entries);
    expect(await plaintext()).toContain('200 OK');
    expect(await asPeer(peer())).not.toContain('200 OK');
  });

  it('takes a TLS hello that arrives byte by byte, and ends quietly when a peer says nothing', async () => {
    const relay = net.createServer((near) => {
      const far = net.connect({ port, host: '127.0.0.1', noDelay: true });
      near.on('data', (chunk: Buffer) => {
        for (const byte of chunk) far.write(Buffer.from([byte]));
      });
      far.on('data', (chunk) => near.write(chunk)).on('close', () => near.end());
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    expect(await asPeer(peer(), { port: (relay.address() as net.AddressInfo).port })).toContain('200 OK');
    relay.close();
    const silent = net.connect(port, '127.0.0.1');
    await new Promise((resolve) => silent.once('connect', resolve));
    silent.destroy();
    expect(await plaintext()).toContain('200 OK');
    expect(countOf(await mesh.flows('b'), () => true)).toBe(2);
  });

  it('never identifies a plaintext peer, whatever it claims', async () => {
    addPolicy(entries, 'pay', 'web-only', { action: 'ALLOW', rules: [{ from: [{ source: { principals: ['*'] } }] }] });
    await mesh.configure('b', entries);
    const claim = { 'x-forwarded-client-cert': `By=x;URI=${workloadUri('shop', 'web')}` };
    const answer = await call({ host: '127.0.0.1', port, headers: { host: 'api', ...claim } });
    expect(answer.status).toBe(403);
    expect(reached).toBe(0);
    expect(await asPeer(peer())).toContain('200 OK');
  });
});

it('keeps serving after hostile connections', async () => {
  for (const bytes of [Buffer.from([0x16]), Buffer.from([0x16, 3, 1, 255, 255]), Buffer.alloc(100_000, 0x41), Buffer.alloc(64)]) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.resetAndDestroy();
  }
  expect(await asPeer(peer())).toContain('200 OK');
});
