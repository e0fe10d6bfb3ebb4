import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import type { PortProtocol } from '@sallyport/shared/mesh';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, TestMesh } from '../../test/mesh.ts';
import { type Program, goProgram, isSkipped, systemProgram } from '../../test/programs.ts';
import { answerTo } from './relay.fixture.ts';

let mesh: TestMesh;
let port: number;
let server: Entries;
let closeApp: () => void;
const clients: http2.ClientHttp2Session[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  server = baseEntries(mesh.operator.ca.root);
  closeApp = () => undefined;
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await mesh.close();
  closeApp();
});

/** An application on HTTP/2 that says what it got. */
async function http2App(): Promise<string> {
  const path = mesh.socketPath('h2');
  const app = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  app.on('session', (session) => sessions.add(session));
  app.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'x-seen': [headers[':method'], headers[':path'], headers[':authority'], headers.cookie].join(' ').trim() }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-after': 'all' }));
      stream.end(Buffer.concat(parts));
    });
  });
  app.listen(path);
  await once(app, 'listening');
  closeApp = () => {
    app.close();
    for (const session of sessions) session.destroy();
  };
  return `unix:${path}`;
}

function http1App(): Promise<string> {
  return mesh.app((req, res) => {
    res.writeHead(200, { 'x-seen': [req.httpVersion, req.method, req.url, req.headers.host, req.headers.cookie].join(' '), trailer: 'x-after' });
    res.addTrailers({ 'x-after': 'all' });
    req.pipe(res);
  });
}

async function start(protocol: PortProtocol, app: string): Promise<void> {
  const caller = baseEntries(mesh.operator.ca.root);
  addWorkload(caller, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('out')}` }] });
  addService(caller, 'pay', 'card', protocol, [{ port, spiffeId: workloadUri('pay', 'card') }]);
  addWorkload(server, 'pay', 'card', { inbound: [{ port, protocol, app }] }, { port });
  addPolicy(server, 'pay', 'closed', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/closed'] } }] }] });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', caller), mesh.configure('b', server)]);
}

function connect(): http2.ClientHttp2Session {
  const client = http2.connect('http://card.pay', { createConnection: () => net.connect(mesh.socketPath('out')) });
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

describe('callers and applications of different versions, through two proxies', () => {
  it('carries HTTP/1.1 to an application on HTTP/2, trailers included', async () => {
    await start('http2', await http2App());
    const answer = await call({ socketPath: mesh.socketPath('out'), path: '/a?b', method: 'POST', headers: { host: 'card.pay', cookie: 'a=1; b=2', te: 'trailers', 'transfer-encoding': 'chunked' } }, 'hello');
    expect(answer).toMatchObject({ status: 200, body: 'hello', trailers: { 'x-after': 'all' } });
    expect(answer.headers['x-seen']).toBe('POST /a?b card.pay a=1; b=2');
  });

  it.each<PortProtocol>(['http', 'auto'])('carries HTTP/2 to an application on HTTP/1.1, or the same version where nobody said: %s', async (protocol) => {
    await start(protocol, protocol === 'auto' ? await http2App() : await http1App());
    const stream = connect().request({ ':method': 'POST', ':path': '/a?b', ':authority': 'card.pay', cookie: 'a=1; b=2' });
    stream.end('hello');
    const answer = await answerTo(stream);
    expect(answer.body.toString()).toBe('hello');
    expect(answer.trailers['x-after']).toBe('all');
    expect(String(answer.headers['x-seen'])).toBe(`${protocol === 'auto' ? '' : '1.1 '}POST /a?b card.pay a=1; b=2`);
    expect(countOf(await mesh.flows('b'), (flow) => flow.protocol === 'http' && flow.method === 'POST' && flow.mtls === 'mutual')).toBe(1);
  });

  it('denies by HTTP/2 as by HTTP/1.1', async () => {
    await start('http2', await http2App());
    const answer = await answerTo(connect().request({ ':path': '/closed', ':authority': 'card.pay' }));
    expect(answer).toMatchObject({ status: 403, body: Buffer.from('sallyport: access denied\n') });
    expect(answer.headers['x-sallyport-reason']).toBe('policy-deny');
    for (const name of ['a', 'b']) expect(countOf(await mesh.flows(name), ({ reason }) => reason === 'policy-deny')).toBe(1);
  });

  it('says in the same words that nobody is called so', async () => {
    await start('http2', await http2App());
    const answer = await answerTo(connect().request({ ':path': '/', ':authority': 'nobody.pay' }));
    expect(answer.status).toBe(502);
  });
});

/** What a program says, with its exit code. */
async function run(program: Program, args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn('path' in program ? program.path : '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, output: output + errors };
}

const h2spec = await goProgram('h2spec');

describe.skipIf(isSkipped('conformance of the proxy’s front to HTTP/2', h2spec))('h2spec against the front of a proxy with an application on HTTP/1.1', () => {
  it('passes in whole, strict cases too', async () => {
    await start('http', await mesh.app((req, res) => {
      req.resume();
      req.on('end', () => res.end('hello from the application\n'));
    }));
    const { output } = await run(h2spec, ['--strict', '--timeout', '5', '--host', '127.0.0.1', '--port', String(port)]);
    // What begins with no preface is HTTP/1 to us, and bytes that are none are answered 400 in its words before the connection closes.
    expect(output.split('Failures: ')[1]).toMatch(/^\s+Hypertext Transfer Protocol Version 2 \(HTTP\/2\)\s+3\. Starting HTTP\/2\s+3\.5\. HTTP\/2 Connection Preface\s+× 2: Sends invalid connection preface\s[^×]*note that the frame header looked like an HTTP\/1\.1 header\n\n/);
    expect(output).toMatch(/\n146 tests, 145 passed, 0 skipped, 1 failed\n$/);
  });
});

const curl = systemProgram('curl', '--version', /HTTP2/);
const h2load = systemProgram('h2load', '--version', /nghttp2/);

describe.skipIf(isSkipped('calls by curl', curl))('curl with prior knowledge', () => {
  it('is answered through two proxies', async () => {
    await start('http', await http1App());
    const { output, code } = await run(curl, ['-sv', '--http2-prior-knowledge', '--unix-socket', mesh.socketPath('out'), '-d', 'hello', 'http://card.pay/a']);
    expect(output).toMatch(/< HTTP\/2 200/);
    expect(output).toMatch(/< x-seen: 1\.1 POST \/a card\.pay/);
    expect(code).toBe(0);
  });
});

describe.skipIf(isSkipped('many calls by h2load', h2load))('h2load', () => {
  it('has all its calls answered', async () => {
    await start('http2', await http2App());
    const { output } = await run(h2load, ['-n', '2000', '-c', '4', '-m', '50', `http://127.0.0.1:${port}/a`]);
    expect(output).toMatch(/requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout/);
  });
});
