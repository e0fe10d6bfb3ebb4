import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addPolicy, countOf, until } from '../../test/mesh.ts';
import { SingleProxy } from '../../test/single-proxy.ts';

let front: SingleProxy;

/** The text of an answer without its head. */
const bodyOf = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4);

/** RFC 9112 §7.1.3: a body without its chunks, which must have come to their end. */
function unchunked(text: string): string {
  const pieces: string[] = [];
  for (let at = 0; ; ) {
    const line = text.indexOf('\r\n', at);
    const length = Number.parseInt(text.slice(at, line), 16);
    if (length === 0) return pieces.join('');
    pieces.push(text.slice(line + 2, line + 2 + length));
    at = line + 4 + length;
    if (!(at < text.length)) throw new Error('the last chunk is missing');
  }
}

beforeEach(async () => {
  front = await SingleProxy.create();
});
afterEach(() => front.close());

describe('a connection', () => {
  it('has pipelined requests answered in order, one at a time', async () => {
    let open = 0;
    let most = 0;
    await front.serve((req, res) => {
      open += 1;
      most = Math.max(most, open);
      // The first is the slowest: whoever answered as the application does would mix them up.
      setTimeout(() => {
        open -= 1;
        res.end(`[${req.url ?? ''}]`);
      }, req.url === '/0' ? 50 : 0);
    });
    addPolicy(front.server, 'pay', 'not-two', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/2'] } }] }] });
    await front.mesh.configure('b', front.server);
    const requests = Array.from({ length: 6 }, (_, i) => `${i % 2 === 0 ? 'GET' : 'POST'} /${i} HTTP/1.1\r\nHost: a\r\n${i % 2 === 0 ? '' : 'Content-Length: 3\r\n'}\r\n${i % 2 === 0 ? '' : 'abc'}`);
    const text = await front.connect().send(requests.join('')).gets('[/5]');
    expect(text.match(/\[\/\d\]|access denied/g)).toEqual(['[/0]', '[/1]', 'access denied', '[/3]', '[/4]', '[/5]']);
    expect(most).toBe(1);
  });

  it('is not read on while nobody reads its answers', async () => {
    await front.serve((_req, res) => res.end());
    addPolicy(front.server, 'pay', 'nobody', { action: 'ALLOW', rules: [] });
    await front.mesh.configure('b', front.server);
    const { socket } = front.connect();
    socket.pause();
    const total = 20_000_000;
    socket.write(Buffer.alloc(total, 'GET / HTTP/1.1\r\nHost: abc\r\n\r\n'));
    let before = -1;
    await until('the proxy to stop', async () => {
      before = socket.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return socket.writableLength === before;
    });
    expect(before).toBeGreaterThan(0);
  });

  it('takes a body in chunks with trailers and gives one, without what nobody but us may say', async () => {
    await front.serve((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
        res.writeHead(200, { trailer: 'x-sum', 'x-sallyport-reason': 'policy-deny' });
        res.write(Buffer.concat(chunks));
        res.addTrailers({ 'x-sum': JSON.stringify(req.trailers), 'x-sallyport-reason': 'policy-deny' });
        res.end();
      });
    });
    const client = front.connect().send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext="x"\r\nabc\r\n').send('00A\r\n0123456789\r\n0\r\nX-In: 1\r\nHost: evil\r\nX-Forwarded-Client-Cert: URI=root\r\n\r\n');
    const text = await client.gets('x-sum: ');
    expect(text).toContain('Transfer-Encoding: chunked\r\n');
    expect(text).toContain('abc0123456789');
    expect(await client.gets('{"x-in":"1"}\r\n\r\n')).not.toContain('sallyport');
  });

  it('is told to go on with a body when the application says so, and not before', async () => {
    let seen = '';
    let asked = false;
    const app = await front.mesh.tcpApp((socket) => {
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (seen.includes('go on please') && !asked) {
          asked = true;
          socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\nX-Sallyport-Forged: 1\r\n\r\n');
        }
        if (seen.endsWith('the body')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    await front.start(app);
    const client = front.connect().send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nX-Say: go on please\r\nContent-Length: 8\r\n\r\n');
    expect(await client.gets('HTTP/1.1 100 ')).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 100 Continue\r\n/);
    expect(seen).toContain('Expect: 100-continue');
    expect(seen).not.toContain('the body');
    expect(await client.send('the body').gets('\r\n\r\nok')).not.toContain('Forged');
  });

  it('is answered and closed when the application does not want the body that a caller keeps back', async () => {
    const app = await front.mesh.tcpApp((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno'));
    });
    await front.start(app);
    const text = await front.connect().send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n').end();
    expect(text).toMatch(/^HTTP\/1\.1 413 Too Large\r\nContent-Length: 2\r\nconnection: close\r\n\r\nno$/);
  });

  it('gives HTTP/1.0 a body that ends with the connection', async () => {
    await front.serve((_req, res) => {
      res.write('in ');
      res.end('pieces');
    });
    const text = await front.connect().send('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n').end();
    expect(text).toMatch(/connection: close\r\n\r\nin pieces$/);
    expect(text.toLowerCase()).not.toContain('transfer-encoding');
  });

  it('answers HEAD without a body and goes on, also when we refuse', async () => {
    await front.serve((req, res) => res.writeHead(200, { 'content-length': 5 }).end(req.method === 'HEAD' ? '' : 'hello'));
    addPolicy(front.server, 'pay', 'secret', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/secret'] } }] }] });
    await front.mesh.configure('b', front.server);
    const text = await front.connect().send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /secret HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n').gets('hello');
    const answers = text.split('HTTP/1.1 ').slice(1);
    expect(answers.map((answer) => [answer.slice(0, 3), bodyOf(answer)])).toEqual([['200', ''], ['403', ''], ['200', 'hello']]);
    expect(answers[1]).toContain('content-length: 25\r\n');
  });

  it('switches to WebSocket for a client that we did not write', async () => {
    const app = await front.mesh.tcpApp((socket) => {
      socket.once('data', (chunk: Buffer) => {
        const key = /sec-websocket-key: (\S+)/i.exec(chunk.toString())?.[1] ?? '';
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        // The first message comes with the head: it must not be lost in between.
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n\u0081\u0002hi`, 'latin1');
        socket.on('data', (frame: Buffer) => (frame[0] === 0x88 ? socket.end() : socket.write(Buffer.from([0x81, (frame[1] ?? 0) & 0x7f, ...frame.subarray(6).map((byte, i) => byte ^ (frame[2 + (i % 4)] ?? 0))]))));
      });
    });
    await front.start(app);
    const socket = new WebSocket(`ws://127.0.0.1:${front.port}/chat`);
    const messages: unknown[] = [];
    socket.addEventListener('message', ({ data }) => messages.push(data));
    await until('the greeting', () => messages.length === 1);
    socket.send('ping');
    await until('the echo', () => messages.length === 2);
    expect(messages).toEqual(['hi', 'ping']);
    expect(countOf(await front.mesh.flows('b'), (flow) => flow.path === '/chat' && flow.verdict === 'allowed')).toBe(1);
    socket.close();
  });
});

describe('large bodies', () => {
  const size = 20_000_000;
  const digest = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');

  /** Waits until a number does not change any more, which back-pressure alone can bring about. */
  async function settled(what: string, value: () => number): Promise<number> {
    let before = -1;
    await until(what, async () => {
      before = value();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return value() === before && before > 0;
    });
    return before;
  }

  it.each(['Content-Length: 20000000', 'Transfer-Encoding: chunked'])('are taken no faster than the application reads them: %s', async (framing) => {
    const body = randomBytes(size);
    let received: http.IncomingMessage | null = null;
    await front.serve((req, res) => {
      received = req;
      const hash = createHash('sha256');
      req.pause();
      req.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => res.end(hash.digest('hex')));
      req.pause();
    });
    const client = front.connect().send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    client.send(framing.startsWith('C') ? body : Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]));
    // What the sender still holds nobody else does.
    expect(await settled('the sender to be stopped', () => client.socket.writableLength)).toBeGreaterThan(size / 4);
    (received as http.IncomingMessage | null)?.resume();
    expect(await client.gets(digest(body))).toMatch(/^HTTP\/1\.1 200 /);
  });

  it.each([['a length', true], ['chunks', false]])('are given no faster than the caller reads them: %s', async (_, sized) => {
    const body = randomBytes(size);
    let socket: net.Socket | null = null;
    await front.serve((_req, res) => {
      socket = res.socket;
      if (sized) res.setHeader('content-length', size);
      res.write(body);
      res.end();
    });
    const client = front.connect().send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    client.socket.pause();
    expect(await settled('the application to be stopped', () => socket?.writableLength ?? 0)).toBeGreaterThan(size / 4);
    client.socket.resume();
    const text = bodyOf(await client.end());
    expect(digest(Buffer.from(sized ? text : unchunked(text), 'latin1'))).toBe(digest(body));
  });
});
