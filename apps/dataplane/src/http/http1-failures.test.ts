import type net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addService, addWorkload, baseEntries, countOf, freePort, until } from '../../test/mesh.ts';
import { workloadUri } from '../../test/certificates.ts';
import { SingleProxy } from '../../test/single-proxy.ts';

let front: SingleProxy;

/** An application that says exactly these bytes to each request (which has no body), and then does something. */
async function answering(bytes: string, then: (socket: net.Socket, request: number) => void): Promise<{ requests: number }> {
  const seen = { requests: 0 };
  const app = await front.mesh.tcpApp((socket) => {
    socket.on('data', () => {
      seen.requests += 1;
      const request = seen.requests;
      socket.write(Buffer.from(bytes, 'latin1'), () => then(socket, request));
    });
  });
  await front.start(app);
  return seen;
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

beforeEach(async () => {
  front = await SingleProxy.create();
});
afterEach(() => front.close());

describe('an application that', () => {
  it('answers before it has the body is heard, and the connection then ends', async () => {
    await front.serve((_req, res) => void res.writeHead(401).end('who are you?'));
    const client = front.connect().send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nthe first of it');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 401 [^]*connection: close\r\n\r\n[^]*who are you\?/);
  });

  it.each([
    ['a body with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', false],
    ['a body in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', false],
    ['a body in chunks, inside of one', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf', false],
    ['a body that breaks the rules of chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf4\r\n', true],
  ])('cuts %s off does not make it look complete', async (_, bytes, stays) => {
    await answering(bytes, (socket) => (stays ? undefined : socket.destroy()));
    const client = front.connect().send(GET);
    const text = await client.end();
    expect(text).not.toContain('\r\n0\r\n\r\n');
    expect(text).not.toMatch(/content-length: 4\r\n/i);
    expect(countOf(await front.mesh.flows('b'), (flow) => flow.verdict === 'allowed')).toBe(1);
  });

  it('ends a body with its connection has it told in chunks, and the caller goes on', async () => {
    await answering('HTTP/1.1 200 OK\r\n\r\nall of it', (socket) => socket.end());
    const client = front.connect().send(GET);
    expect(await client.gets('\r\n0\r\n\r\n')).toContain('transfer-encoding: chunked\r\n\r\n9\r\nall of it\r\n');
    await client.send(GET).gets('\r\n0\r\n\r\nHTTP/1.1 200');
  });

  it('closes its connection between requests costs nobody a request', async () => {
    const seen = await answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', (socket) => socket.end());
    const client = front.connect();
    for (let i = 1; i <= 5; i += 1) {
      client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
      await until('the answer', () => client.text.split('ok').length === i + 1);
    }
    expect(client.text).not.toContain('503');
    expect(seen.requests).toBe(5);
  });

  it('closes on a request is asked again only where that does no harm', async () => {
    let requests: string[] = [];
    const app = await front.mesh.tcpApp((socket) => {
      let answered = false;
      socket.on('data', (chunk: Buffer) => {
        requests.push(chunk.toString().slice(0, 4));
        if (answered) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        answered = true;
      });
    });
    await front.start(app);
    const client = front.connect().send(GET);
    await client.gets('ok');
    requests = [];
    await client.send(GET).gets('okHTTP/1.1 200');
    expect(requests).toEqual(['GET ', 'GET ']);
    requests = [];
    await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n').gets('HTTP/1.1 503');
    expect(requests).toEqual(['POST']);
  });

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'],
    ['a length beside chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a header of two lines', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx'],
    ['another protocol that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
  ])('says %s is not believed', async (_, bytes) => {
    const seen = await answering(bytes, () => undefined);
    const client = front.connect().send(GET);
    expect(await client.gets('the application gives no valid answer')).toMatch(/^HTTP\/1\.1 502 [^]*x-sallyport-reason: upstream-unreachable\r\n/);
    expect(seen.requests).toBe(1);
    expect(countOf(await front.mesh.flows('b'), (flow) => flow.reason === 'upstream-unreachable')).toBe(1);
  });

  it('says more than it was asked for has its connection ended', async () => {
    await answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', () => undefined);
    const client = front.connect();
    for (let i = 1; i <= 3; i += 1) {
      client.send(GET);
      await until('the answer', () => client.text.split('ok').length === i + 1);
    }
    expect(client.text).not.toContain('evil');
  });
});

describe('a caller that', () => {
  it('goes away has its request taken back from the application', async () => {
    let asked = false;
    let taken = false;
    await front.serve((_req, res) => {
      asked = true;
      res.once('close', () => {
        taken = !res.writableFinished;
      });
    });
    const client = front.connect().send(GET);
    await until('the request', () => asked);
    client.socket.end();
    await until('it to be taken back', () => taken);
    expect(countOf(await front.mesh.flows('b'), (flow) => flow.verdict === 'allowed')).toBe(1);
  });

  it.each([
    ['a chunk size that is none', 'Transfer-Encoding: chunked\r\n\r\nxyz\r\n'],
    ['a chunk size in C', 'Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than its size', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n'],
    ['a chunk size that ends in LF', 'Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n'],
    ['a NUL in a header', 'X-A: b\0c\r\n\r\n'],
    ['a CR in a header', 'X-A: b\rc\r\n\r\n'],
    ['a trailer that is folded', 'Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n c\r\n\r\n'],
  ])('sends %s gets 400, and no request behind it is read', async (_, rest) => {
    const urls: (string | undefined)[] = [];
    await front.serve((req, res) => {
      urls.push(req.url);
      req.resume().on('end', () => res.end()).on('error', () => undefined);
    });
    const client = front.connect().send(`POST /first HTTP/1.1\r\nHost: a\r\n${rest}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(await client.end()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nx-sallyport-reason: bad-request\r\nconnection: close\r\n/);
    expect(urls).not.toContain('/smuggled');
    expect(countOf(await front.mesh.flows('b'), () => true)).toBe(1);
  });
});

it('a request that reached nobody goes to another endpoint with its body', async () => {
  const bodies: string[] = [];
  await front.serve((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => (body += chunk.toString())).on('end', () => {
      bodies.push(body);
      res.end('stored');
    });
  });
  const client = baseEntries(front.mesh.operator.ca.root);
  addWorkload(client, 'shop', 'web', { outbound: [{ protocol: 'http', listen: `unix:${front.mesh.socketPath('web')}` }] });
  addService(client, 'pay', 'api', 'http', [{ port: await freePort(), spiffeId: workloadUri('pay', 'api') }, { port: front.port, spiffeId: workloadUri('pay', 'api') }]);
  await front.mesh.proxy('a');
  await front.mesh.configure('a', client);
  const caller = front.connect(front.mesh.socketPath('web'));
  for (let i = 1; i <= 4; i += 1) {
    caller.send(`POST / HTTP/1.1\r\nHost: api.pay\r\n${i % 2 === 0 ? 'Content-Length: 3\r\n\r\nabc' : 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'}`);
    await until('the answer', () => caller.text.split('stored').length === i + 1);
  }
  expect(bodies).toEqual(['abc', 'abc', 'abc', 'abc']);
});
