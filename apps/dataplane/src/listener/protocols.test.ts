import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { PortProtocol } from '@sallyport/shared/mesh';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestCa, workloadUri } from '../../test/certificates.ts';
import { addPeerMode, addPolicy, addService, addWorkload, baseEntries, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let server: Entries;
/** The application's own certificate, of which the mesh knows nothing. */
const own = new TestCa();

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  server = baseEntries(mesh.operator.ca.root);
});
afterEach(() => mesh.close());

/** Two proxies, in front of an application on a port of that protocol. */
async function start(protocol: PortProtocol, app: string): Promise<void> {
  const client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'tcp', listen: `unix:${mesh.socketPath('out')}`, service: 'vault', namespace: 'pay', port: 80 }] });
  addService(client, 'pay', 'vault', protocol, [{ port, spiffeId: workloadUri('pay', 'vault') }]);
  addWorkload(server, 'pay', 'vault', { inbound: [{ port, protocol, app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
}

/** An application that ends TLS itself and answers with the name it was asked for; anything else it echoes. */
function application(): Promise<string> {
  const secured = tls.createServer(own.leaf('spiffe://own.example/app'));
  secured.on('secureConnection', (socket: tls.TLSSocket & { servername?: string }) => {
    socket.on('error', () => undefined);
    socket.end(`hello ${String(socket.servername)}`);
  });
  secured.on('tlsClientError', () => undefined);
  return mesh.tcpApp((socket) => {
    socket.once('readable', () => {
      const chunk = socket.read() as Buffer;
      if (chunk[0] === 22) socket.unshift(chunk);
      if (chunk[0] === 22) secured.emit('connection', socket);
      else if (chunk.includes('HTTP/1.1')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi');
      else socket.end(`echo ${chunk.toString()}`);
    });
  });
}

/** What the application answers to TLS through `carrier`, or how it broke. */
async function askByTls(carrier: net.Socket, servername: string): Promise<string> {
  const socket = tls.connect({ socket: carrier, servername, rejectUnauthorized: false });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks).toString() || 'closed';
}

const out = (): net.Socket => net.connect(mesh.socketPath('out'));
const ONE_NAME = { action: 'ALLOW' as const, rules: [{ when: [{ key: 'connection.sni', values: ['shop.example'] }] }] };

describe('a port declared tls', () => {
  it('passes the application’s own TLS through the mesh, decided by the name that is asked for', async () => {
    addPolicy(server, 'pay', 'one-name', ONE_NAME);
    await start('tls', await application());
    expect(await askByTls(out(), 'shop.example')).toBe('hello shop.example');
    expect(await askByTls(out(), 'other.example')).toBe('closed');
    const flows = await mesh.flows('b');
    expect(countOf(flows, (flow) => flow.protocol === 'tcp' && flow.mtls === 'mutual' && flow.verdict === 'allowed')).toBe(1);
    expect(countOf(flows, ({ reason }) => reason === 'policy-no-allow')).toBe(1);
  });

  it('takes a name as the application’s where plaintext is taken, and as the mesh’s where it is not', async () => {
    await start('tls', await application());
    expect(await askByTls(net.connect(port, '127.0.0.1'), 'shop.example')).toBe('hello shop.example');
    expect(countOf(await mesh.flows('b'), (flow) => flow.mtls === 'plaintext' && flow.source.principal === null && flow.verdict === 'allowed')).toBe(1);
    addPeerMode(server, 'pay', 'STRICT');
    await mesh.configure('b', server);
    expect(await askByTls(net.connect(port, '127.0.0.1'), 'shop.example')).toBe('closed');
    expect(await askByTls(out(), 'shop.example')).toBe('hello shop.example');
  });

  it('lets nothing through that is no TLS', async () => {
    await start('tls', await application());
    expect(await raw(out(), 'GET / HTTP/1.1\r\n\r\n')).toBe('');
    await until('the refusal to be counted', async () => countOf(await mesh.flows('b'), ({ reason }) => reason === 'bad-request') === 1);
    expect((await mesh.flows('b')).every((flow) => flow.verdict === 'denied')).toBe(true);
  });
});

describe('a port declared auto', () => {
  it('tells HTTP, TLS and bytes by how they begin', async () => {
    await start('auto', await application());
    expect(await raw(out(), 'GET /a HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 [\s\S]*hi$/);
    expect(await askByTls(out(), 'shop.example')).toBe('hello shop.example');
    expect(await raw(out(), 'ping')).toBe('echo ping');
    const flows = await mesh.flows('b');
    expect(countOf(flows, (flow) => flow.protocol === 'http' && flow.path === '/a' && flow.verdict === 'allowed')).toBe(1);
    expect(countOf(flows, (flow) => flow.protocol === 'tcp' && flow.verdict === 'allowed')).toBe(2);
  });

  it('denies bytes where only HTTP is allowed', async () => {
    addPolicy(server, 'pay', 'only-http', { action: 'ALLOW', rules: [{ to: [{ operation: { paths: ['/a'] } }] }] });
    await start('auto', await application());
    expect(await raw(out(), 'ping')).toBe('');
    expect(await askByTls(out(), 'shop.example')).toBe('closed');
    expect(countOf(await mesh.flows('b'), ({ verdict }) => verdict === 'allowed')).toBe(0);
  });

  it('lets the server speak first after a while', async () => {
    await start('auto', await mesh.tcpApp((socket) => void socket.end('220 welcome')));
    const socket = out();
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    expect(greeting.toString()).toBe('220 welcome');
    socket.destroy();
  });
});
