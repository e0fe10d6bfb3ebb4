import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { PortProtocol } from '@sallyport/shared/mesh';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, countOf, freePort, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
const closers: (() => void)[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await mesh.close();
});

async function start(protocol: PortProtocol, app: string): Promise<void> {
  const port = await freePort();
  const caller = baseEntries(mesh.operator.ca.root);
  addWorkload(caller, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('out')}` }] });
  addService(caller, 'pay', 'chat', protocol, [{ port, spiffeId: workloadUri('pay', 'chat') }]);
  const callee = baseEntries(mesh.operator.ca.root);
  addWorkload(callee, 'pay', 'chat', { inbound: [{ port, protocol, app }] }, { port });
  addPolicy(callee, 'pay', 'closed', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/closed'] } }] }] });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', caller), mesh.configure('b', callee)]);
}

/** An application that switches by RFC 8441 and echoes; without `extended` it does not know how. */
async function http2App(extended: boolean): Promise<string> {
  const path = mesh.socketPath('h2');
  const app = http2.createServer({ settings: { enableConnectProtocol: extended } });
  app.on('session', (session) => closers.push(() => session.destroy()));
  app.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'x-seen': [':method', ':protocol', ':path', 'sec-websocket-key'].map((name) => String(headers[name])).join(' ') });
    stream.pipe(stream);
  });
  app.listen(path);
  await once(app, 'listening');
  closers.push(() => app.close());
  return `unix:${path}`;
}

/** The same by HTTP/1.1's upgrade. */
async function http1App(): Promise<string> {
  const path = mesh.socketPath('h1');
  const app = http.createServer((_, res) => res.writeHead(426).end());
  app.on('upgrade', (req, socket: Duplex) => {
    socket.on('error', () => undefined);
    closers.push(() => socket.destroy());
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\nx-seen: ${req.method} ${req.headers.upgrade} ${req.url} ${String((req.headers['sec-websocket-key'] ?? '').length)}\r\n\r\n`);
    socket.pipe(socket);
  });
  app.listen(path);
  await once(app, 'listening');
  closers.push(() => app.close());
  return `unix:${path}`;
}

async function byHttp2(path: string): Promise<{ status: unknown; seen: unknown; accept: unknown; stream: Duplex }> {
  const client = http2.connect('http://chat.pay', { createConnection: () => net.connect(mesh.socketPath('out')) });
  client.on('error', () => undefined);
  closers.push(() => client.destroy());
  await once(client, 'remoteSettings');
  const stream = client.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, ':authority': 'chat.pay', ':scheme': 'http', 'sec-websocket-version': '13' });
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  return { status: headers[':status'], seen: headers['x-seen'], accept: headers['sec-websocket-accept'], stream };
}

async function byHttp1(): Promise<{ res: http.IncomingMessage; stream: Duplex | null }> {
  const req = http.request({ agent: false, socketPath: mesh.socketPath('out'), path: '/a', headers: { host: 'chat.pay', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
  req.end();
  return await new Promise((resolve, reject) => {
    req.once('error', reject);
    req.once('response', (res) => resolve({ res: res.resume(), stream: null }));
    req.once('upgrade', (res, stream) => resolve({ res, stream }));
  });
}

/** Says something and hears it again. */
async function echoed(stream: Duplex, text: string): Promise<string> {
  let heard = '';
  stream.on('data', (data: Buffer) => (heard += data.toString()));
  stream.write(text);
  await until('the echo', () => heard.length >= text.length);
  return heard;
}

describe('a WebSocket through two proxies', () => {
  it('from HTTP/2 to HTTP/2', async () => {
    await start('http2', await http2App(true));
    const { status, seen, stream } = await byHttp2('/a');
    expect([status, seen]).toEqual([200, 'CONNECT websocket /a undefined']);
    expect(await echoed(stream, 'x'.repeat(300_000))).toBe('x'.repeat(300_000));
    stream.end();
    await once(stream, 'end');
    const moved = async (): Promise<number[]> => {
      const flows = (await mesh.flows('b')).filter(({ method }) => method === 'GET');
      return [flows.reduce((sum, flow) => sum + flow.bytesReceived, 0), flows.reduce((sum, flow) => sum + flow.bytesSent, 0)];
    };
    await until('its bytes to be counted', async () => (await moved()).every((bytes) => bytes >= 300_000));
    expect(await moved()).toEqual([300_000, 300_000]);
  });

  it('from HTTP/2 to HTTP/1.1', async () => {
    await start('http', await http1App());
    const { status, seen, accept, stream } = await byHttp2('/a');
    expect([status, seen, accept]).toEqual([200, 'GET websocket /a 24', undefined]);
    expect(await echoed(stream, 'hello')).toBe('hello');
  });

  it('from HTTP/1.1 to HTTP/2', async () => {
    await start('http2', await http2App(true));
    const { res, stream } = await byHttp1();
    expect(res.statusCode).toBe(101);
    // RFC 6455 §1.3 has this pair as its example.
    expect(res.headers['sec-websocket-accept']).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(await echoed(stream!, 'hello')).toBe('hello');
    stream!.destroy();
  });

  it('is denied like any request', async () => {
    await start('http2', await http2App(true));
    expect((await byHttp2('/closed')).status).toBe(403);
    expect(countOf(await mesh.flows('b'), ({ reason, path }) => reason === 'policy-deny' && path === '/closed')).toBe(1);
  });

  it('is not tried where the application says that it knows none over HTTP/2', async () => {
    await start('http2', await http2App(false));
    const { res } = await byHttp1();
    expect(res.statusCode).toBe(503);
  });
});
