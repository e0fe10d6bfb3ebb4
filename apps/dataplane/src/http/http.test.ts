import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workloadUri } from '../../test/certificates.ts';
import { addPolicy, addService, addWorkload, baseEntries, call, countOf, type Entries, freePort, raw, TestMesh, until } from '../../test/mesh.ts';

let mesh: TestMesh;
let port: number;
let client: Entries;
let server: Entries;
let handler: http.RequestListener;

beforeEach(async () => {
  mesh = await TestMesh.start();
  port = await freePort();
  handler = (_req, res) => res.end('app');
  const app = await mesh.app((req, res) => handler(req, res));
  client = baseEntries(mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port, spiffeId: workloadUri('pay', 'api') }]);
  server = baseEntries(mesh.operator.ca.root);
  addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app }] }, { port });
  await Promise.all([mesh.proxy('a'), mesh.proxy('b')]);
  await Promise.all([mesh.configure('a', client), mesh.configure('b', server)]);
});
afterEach(() => mesh.close());

const through = { get socketPath() { return mesh.socketPath('web'); }, headers: { host: 'api.pay' } };
const direct = (bytes: string) => raw(net.connect(port, '127.0.0.1'), bytes);

describe('streams', () => {
  it('10 MB there and back, unchanged, and counts the bytes', async () => {
    handler = (req, res) => void req.pipe(res);
    const body = randomBytes(10 * 1024 * 1024);
    const received = await new Promise<{ digest: string; size: number }>((resolve, reject) => {
      const req = http.request({ ...through, method: 'POST', headers: { host: 'api.pay', 'content-length': body.length } }, (res) => {
        const hash = createHash('sha256');
        let size = 0;
        res.on('data', (chunk: Buffer) => {
          size += chunk.length;
          hash.update(chunk);
        });
        res.on('end', () => resolve({ digest: hash.digest('hex'), size }));
      });
      req.on('error', reject);
      req.end(body);
    });
    expect(received).toEqual({ digest: createHash('sha256').update(body).digest('hex'), size: body.length });
    for (const name of ['a', 'b']) expect(await mesh.flows(name)).toContainEqual(expect.objectContaining({ method: 'POST', count: 1, bytesReceived: body.length, bytesSent: body.length }));
  });

  it('no faster than the reader takes it', async () => {
    let produced = 0;
    handler = (_req, res) => {
      const more = () => {
        do produced += 65_536;
        while (res.write(Buffer.alloc(65_536)));
      };
      res.on('drain', more);
      more();
    };
    const socket = net.connect(mesh.socketPath('web'));
    socket.write('GET / HTTP/1.1\r\nHost: api.pay\r\n\r\n');
    socket.pause();
    // It stops by itself: wait until nothing was produced for a while, which back-pressure alone can bring about.
    let before = -1;
    await until('production to stop', async () => {
      before = produced;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return produced === before && produced > 0;
    });
    expect(produced).toBeLessThan(32 * 1024 * 1024);
    socket.destroy();
  });

  it('trailers, both ways', async () => {
    handler = (req, res) => {
      req.resume().on('end', () => {
        res.writeHead(200, { trailer: 'x-sum' });
        res.write('body');
        res.addTrailers({ 'x-sum': String(req.trailers['x-in']), 'x-sallyport-forged': '1' });
        res.end();
      });
    };
    const answer = await new Promise<NodeJS.Dict<string>>((resolve, reject) => {
      const req = http.request({ ...through, method: 'POST', headers: { host: 'api.pay', 'transfer-encoding': 'chunked', trailer: 'x-in' } }, (res) => {
        res.resume().on('end', () => resolve(res.trailers));
      });
      req.on('error', reject);
      req.write('data');
      req.addTrailers({ 'x-in': '42' });
      req.end();
    });
    expect(answer).toEqual({ 'x-sum': '42' });
  });

  it('100-continue, and nothing of the body when policy denies', async () => {
    handler = (req, res) => void req.resume().on('end', () => res.end('stored'));
    const send = () => new Promise<{ continued: boolean; status: number }>((resolve, reject) => {
      let continued = false;
      const req = http.request({ ...through, agent: false, method: 'PUT', headers: { host: 'api.pay', expect: '100-continue', 'content-length': 4 } }, (res) => {
        res.resume();
        resolve({ continued, status: res.statusCode ?? 0 });
      });
      req.on('continue', () => {
        continued = true;
        req.end('data');
      });
      req.on('error', reject);
      req.flushHeaders();
    });
    expect(await send()).toEqual({ continued: true, status: 200 });
    addPolicy(server, 'pay', 'no-put', { action: 'DENY', rules: [{ to: [{ operation: { methods: ['PUT'] } }] }] });
    await mesh.configure('b', server);
    expect(await send()).toEqual({ continued: false, status: 403 });
  });

  it('a denial that reaches a sender in the middle of a large body', async () => {
    addPolicy(server, 'pay', 'no-post', { action: 'DENY', rules: [{ to: [{ operation: { methods: ['POST'] } }] }] });
    await mesh.configure('b', server);
    const answer = await call({ ...through, method: 'POST' }, Buffer.alloc(8 * 1024 * 1024));
    expect(answer).toMatchObject({ status: 403, body: 'sallyport: access denied\n' });
  });

  it('an answer that stops short is not made to look complete', async () => {
    handler = (_req, res) => {
      res.writeHead(200, { 'content-length': 1000 });
      res.write('half');
      setTimeout(() => res.destroy(), 20);
    };
    await expect(call(through)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  it('WebSocket upgrades, which a policy change closes', async () => {
    const path = mesh.socketPath('ws-app');
    const app = http.createServer().on('upgrade', (req: http.IncomingMessage, socket: net.Socket) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${req.headers['x-forwarded-client-cert'] ? 'known:' : ''}`);
      socket.pipe(socket);
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => app.listen(path, resolve));
    addWorkload(server, 'pay', 'api', { inbound: [{ port, protocol: 'http', app: `unix:${path}` }] }, { port });
    await mesh.configure('b', server);
    const socket = net.connect(mesh.socketPath('web'));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.write('GET /ws HTTP/1.1\r\nHost: api.pay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await until('the switch', () => text.includes('known:'));
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    socket.write('ping');
    await until('the echo', () => text.endsWith('ping'));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    addPolicy(server, 'pay', 'no-ws', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/ws'] } }] }] });
    await mesh.configure('b', server);
    await closed;
    const flows = await mesh.flows('b');
    expect(countOf(flows, (flow) => flow.path === '/ws' && flow.verdict === 'allowed')).toBe(1);
    expect(countOf(flows, (flow) => flow.path === '/ws' && flow.verdict === 'denied' && flow.policy === 'pay/no-ws')).toBe(1);
    expect(flows.filter((flow) => flow.verdict === 'allowed').reduce((sum, flow) => sum + flow.bytesReceived, 0)).toBe(4);
    app.close();
  });
});

describe('requests are decided and forwarded in one form', () => {
  it('normalises the path before policy looks and forwards what policy saw', async () => {
    const seen: string[] = [];
    handler = (req, res) => {
      seen.push(req.url ?? '');
      res.end();
    };
    addPolicy(server, 'pay', 'no-admin', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin', '/admin/*'] } }] }] });
    await mesh.configure('b', server);
    const disguised = ['/admin/x', '/x/../admin/x', '//admin/x', '/%61dmin/x', '/x/%2e%2e/admin', '/x%2f..%2fadmin/y'];
    const statuses = await Promise.all(disguised.map(async (path) => [path, (await call({ ...through, path })).status]));
    expect(statuses).toEqual(disguised.map((path) => [path, 403]));
    expect((await call({ ...through, path: '/a//b/../c?q=/admin/..' })).status).toBe(200);
    expect(seen).toEqual(['/a/c?q=/admin/..']);
    expect((await call({ ...through, path: '/a%00b' })).status).toBe(400);
    expect((await call({ ...through, path: '/../etc' })).headers['x-sallyport-reason']).toBe('path-rejected');
  });

  it('reads host and path from an absolute target, as RFC 9112 §3.2.2 wants, and forwards no other host', async () => {
    handler = (req, res) => res.end(`${req.headers.host ?? ''}${req.url ?? ''}`);
    addPolicy(server, 'pay', 'no-evil', { action: 'DENY', rules: [{ to: [{ operation: { hosts: ['evil'] } }] }] });
    await mesh.configure('b', server);
    expect(await direct('GET http://good/x HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n')).toContain('good/x');
    expect(await direct('GET http://evil/x HTTP/1.1\r\nHost: good\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('does not let an application or a peer speak in a proxy’s name', async () => {
    handler = (_req, res) => {
      res.writeHead(403, { 'x-sallyport-reason': 'policy-deny' });
      res.end('mine');
    };
    const answer = await call(through);
    expect(answer.status).toBe(403);
    expect(answer.headers).not.toHaveProperty('x-sallyport-reason');
    expect(countOf(await mesh.flows('a'), (flow) => flow.verdict === 'denied')).toBe(0);
  });

  it('does not drop headers that a peer names in Connection to hide them', async () => {
    let host: string | undefined;
    handler = (req, res) => {
      host = req.headers.host;
      res.end(String(req.headers['x-hop'] ?? 'gone'));
    };
    const answer = await call({ ...through, headers: { host: 'api.pay', connection: 'host, x-hop, close', 'x-hop': '1' } });
    expect(answer.body).toBe('gone');
    expect(host).toBe('api.pay');
  });

  it('calls a workload outside the mesh in plaintext, says so, and does not believe its verdicts', async () => {
    const legacy = http.createServer((req, res) => {
      res.writeHead(403, { 'x-sallyport-reason': 'policy-deny' });
      res.end(String(req.headers['x-forwarded-client-cert']));
    });
    const legacyPort = await freePort();
    await new Promise<void>((resolve) => legacy.listen(legacyPort, '127.0.0.1', resolve));
    addService(client, 'shop', 'legacy', 'http', [{ port: legacyPort, spiffeId: null }]);
    await mesh.configure('a', client);
    const answer = await call({ ...through, headers: { host: 'legacy:80', 'x-forwarded-client-cert': 'URI=x' } });
    expect(answer).toMatchObject({ status: 403, body: 'undefined' });
    expect(answer.headers).not.toHaveProperty('x-sallyport-reason');
    expect(countOf(await mesh.flows('a'), (flow) => flow.mtls === 'plaintext' && flow.verdict === 'allowed' && flow.destination.service === 'legacy')).toBe(1);
    legacy.close();
  });

  it('reuses connections between the proxies', async () => {
    for (let i = 0; i < 5; i += 1) await call(through);
    expect(mesh.logs.filter((line) => line['msg'] === 'call' && line['side'] === 'inbound')).toHaveLength(5);
    const open = await new Promise<number>((resolve) => {
      // Established connections to the port, as the kernel counts them.
      const hex = port.toString(16).toUpperCase().padStart(4, '0');
      void import('node:fs').then((fs) => resolve(fs.readFileSync('/proc/self/net/tcp', 'utf8').split('\n').filter((line) => new RegExp(`^\\s*\\d+: [0-9A-F]{8}:${hex} [0-9A-F:]+ 01 `).test(line)).length));
    });
    expect(open).toBe(1);
  });
});

describe('malformed and smuggled requests get 400 and never reach the application', () => {
  const attacks: [string, string, number?][] = [
    ['Content-Length beside Transfer-Encoding', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['an obsolete fold', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n'],
    ['bare LF after the request line', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['bare LF after a header', 'GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n'],
    ['two Content-Lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde'],
    ['a list of Content-Lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nabcde'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['an unknown transfer coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
    ['a disguised transfer coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n', 501],
    ['Transfer-Encoding with HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 501],
  ];
  it.each(attacks)('%s', async (_name, bytes, status = 400) => {
    let reached = 0;
    handler = (_req, res) => {
      reached += 1;
      res.end();
    };
    const socket = net.connect(port, '127.0.0.1');
    const first = await new Promise<string>((resolve) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
      socket.once('close', () => resolve('closed without an answer'));
      socket.write(bytes);
    });
    socket.destroy();
    expect(first.slice(0, 13)).toBe(`HTTP/1.1 ${status} `);
    expect(reached).toBe(0);
    expect(countOf(await mesh.flows('b'), (flow) => flow.verdict === 'denied')).toBe(1);
  });

  it('more headers than are looked at, and a head that is too large', async () => {
    const many = Array.from({ length: 101 }, (_, i) => `x-${i}: 1\r\n`).join('');
    expect(await direct(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${many}\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await direct(`GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${'x'.repeat(70_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('a head that never ends is cut off', async () => {
    expect(await direct('GET / HTTP/1.1\r\nHost: a\r\nX-A: ')).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('an h2c upgrade is served as the plain request that it also is', async () => {
    handler = (req, res) => res.end(`upgrade: ${String(req.headers.upgrade)}`);
    expect(await direct('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n')).toContain('upgrade: undefined');
  });
});
