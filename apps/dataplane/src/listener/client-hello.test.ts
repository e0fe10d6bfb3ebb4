import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Hello, readClientHello } from './client-hello.ts';

/** What Node's own client sends first. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return bytes;
}

let hello: Buffer;
beforeAll(async () => {
  hello = await helloOf({ servername: 'Shop.Example', ALPNProtocols: ['h2'] });
});

/** The same handshake message in records of `size` bytes. */
function cut(bytes: Buffer, size: number): Buffer {
  const message = bytes.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

describe('readClientHello', () => {
  it('finds the name that a real client asks for', () => {
    expect(readClientHello(hello)).toEqual({ serverName: 'shop.example' });
  });

  it('finds none where the client names none', async () => {
    expect(readClientHello(await helloOf({ servername: '' }))).toEqual({ serverName: null });
    expect(readClientHello(await helloOf({ servername: '', maxVersion: 'TLSv1.2' }))).toEqual({ serverName: null });
  });

  it.each([1, 3, 100, 300])('reads one that is cut into records of %i bytes', (size) => {
    expect(readClientHello(cut(hello, size))).toEqual({ serverName: 'shop.example' });
  });

  it('wants more of every beginning, and says the same of it whatever follows', () => {
    for (const whole of [hello, cut(hello, 50)]) {
      for (let end = 0; end < whole.length; end += 1) expect(readClientHello(whole.subarray(0, end))).toBe('more');
      expect(readClientHello(Buffer.concat([whole, Buffer.from('more')]))).toEqual({ serverName: 'shop.example' });
    }
  });

  it.each<[string, (bytes: Buffer) => Buffer, Hello]>([
    ['another record type', (bytes) => (bytes.writeUInt8(23, 0), bytes), 'none'],
    ['another major version', (bytes) => (bytes.writeUInt8(2, 1), bytes), 'none'],
    ['an empty record', () => Buffer.from([22, 3, 1, 0, 0]), 'none'],
    ['a record that is too large', () => Buffer.from([22, 3, 1, 0x40, 1]), 'none'],
    ['another message', (bytes) => (bytes.writeUInt8(2, 5), bytes), 'none'],
    ['a message that is too large', (bytes) => (bytes.writeUInt8(1, 6), bytes), 'none'],
    ['a record of application data in the middle', (bytes) => { const pieces = cut(bytes, 50); pieces[55] = 23; return pieces; }, 'none'],
    ['a session id that is longer than the message', (bytes) => (bytes.writeUInt8(255, 43), bytes), 'none'],
    ['HTTP', () => Buffer.from('GET / HTTP/1.1\r\n'), 'none'],
  ])('does not take for one: %s', (_, change, outcome) => {
    expect(readClientHello(change(Buffer.from(hello)))).toEqual(outcome);
  });

  it('gives up on tiny records without end', () => {
    const tiny = Buffer.concat([Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x3f, 0xf0]), ...Array.from({ length: 6000 }, () => Buffer.from([22, 3, 1, 0, 1, 0]))]);
    expect(readClientHello(tiny)).toBe('none');
  });

  it.each(['a..b', 'a.b.', 'ä.b', 'a b', '*.a', 'a'.repeat(254)])('takes no server name that is none: %s', (name) => {
    const bytes = Buffer.from(name, 'latin1');
    const extension = Buffer.concat([Buffer.from([0, 0]), sized(sized(Buffer.concat([Buffer.from([0]), sized(bytes)])))]);
    const body = Buffer.concat([Buffer.alloc(34, 3), Buffer.from([0]), sized(Buffer.from([0x13, 1])), Buffer.from([1, 0]), sized(extension)]);
    expect(readClientHello(recordOf(body))).toBe('none');
  });

  it('takes no hello with two server names', () => {
    const one = sized(Buffer.concat([Buffer.from([0]), sized(Buffer.from('a.b'))]));
    const extension = Buffer.concat([Buffer.from([0, 0]), sized(one), Buffer.from([0, 0]), sized(one)]);
    const body = Buffer.concat([Buffer.alloc(34, 3), Buffer.from([0]), sized(Buffer.from([0x13, 1])), Buffer.from([1, 0]), sized(extension)]);
    expect(readClientHello(recordOf(body))).toBe('none');
  });
});

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function recordOf(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([22, 3, 1]), sized(Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 0xff]), body]))]);
}
